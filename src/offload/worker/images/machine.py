"""What this machine says of mirrors, package indexes and authorities, where no setting does."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.images.settings import ImageSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIP_FILES = ("/etc/pip.conf", "/etc/xdg/pip/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf")
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def read_image_settings(environment: Mapping[str, str]) -> ImageSettings:
    """Return the settings of image builders that the environment and this machine's own tools give."""
    return ImageSettings(
        debian_mirror=environment.get("OFFLOAD_DEBIAN_MIRROR", ""),
        oci_mirror=environment.get("OFFLOAD_OCI_MIRROR", ""),
        package_index=environment.get("OFFLOAD_PACKAGE_INDEX") or _pip_index(environment),
        python_mirror=environment.get("OFFLOAD_PYTHON_MIRROR", ""),
        proxies=tuple((name, environment[name]) for name in _PROXIES if environment.get(name)),
        ca_file=_ca_file(environment),
    )


def _pip_index(environment: Mapping[str, str]) -> str:
    if environment.get("PIP_INDEX_URL"):
        return environment["PIP_INDEX_URL"]
    index = ""
    for name in (*_PIP_FILES, environment.get("PIP_CONFIG_FILE", "")):
        parser = configparser.RawConfigParser()
        try:
            parser.read(Path(name).expanduser())
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        index = parser.get("global", "index-url", fallback=index)
    return index


def _ca_file(environment: Mapping[str, str]) -> Path | None:
    for name in (environment.get("SSL_CERT_FILE", ""), *_CA_FILES):
        if name and Path(name).is_file():
            return Path(name)
    return None
