"""Where the parts of images come from, and what builds are made with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_DEBIAN_MIRROR = "http://deb.debian.org/debian"


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """Options of image builders."""

    debian_mirror: str = ""  # empty: what this machine's apt says, else Debian's own
    oci_mirror: str = ""  # asked first for images of Docker Hub; empty: none
    package_index: str = ""  # empty: what this machine's pip says, else PyPI
    python_mirror: str = ""  # of releases of Python, for uv; empty: uv's own
    proxies: tuple[tuple[str, str], ...] = ()  # http_proxy and the like, for builds alone
    ca_file: Path | None = None  # authorities that builds trust; None: the image's own
    max_bytes: int = 20 * 1024**3  # of all layers together
