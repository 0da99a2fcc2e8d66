"""Steps as commands: what is run in the image's own root for each kind of step. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from offload.worker.core.content import Content
    from offload.worker.core.images import ImageStep, Pairs

# Where a build finds what is not the image's: below /run, which is never part of a layer.
TOOLS = "/run/offload"
CONTENT_AT = f"{TOOLS}/content"
UV_AT = f"{TOOLS}/uv"
GUEST_AT = f"{TOOLS}/guest"
CA_AT = f"{TOOLS}/ca.pem"

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
)


@dataclass(frozen=True, slots=True)
class Work:
    """What one step runs in the image."""

    argv: tuple[str, ...]
    env: Pairs = ()
    needs_ids: bool = False  # more users than one
    uses_uv: bool = False
    content: Content | None = None  # shown at `CONTENT_AT`


def build_environment(image_env: Pairs, proxies: Pairs, *, has_ca: bool) -> dict[str, str]:
    """Return the variables of every build command; what the image sets comes after, so that it counts."""
    env = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    env.update(proxies)
    if has_ca:
        env.update(dict.fromkeys(_CA_VARIABLES, CA_AT))
    env.update(image_env)
    return env


def work_of(step: ImageStep, python: str, package_index: str) -> Work | None:
    """Return what a step runs; None for one that only says how programs run later, or is a source."""
    match step.kind:
        case "run_commands":
            return Work(("/bin/sh", "-c", *step.arguments[:1]))
        case "workdir":
            return Work(("/bin/mkdir", "-p", "--", step.arguments[0]))
        case "apt_install":
            return Work(("/bin/sh", "-c", _apt(step.arguments)), needs_ids=True)
        case "pip_install" | "pip_requirements":
            return _pip(step, python, package_index)
        case "run_function":
            return Work(
                (python, "-I", f"{GUEST_AT}/offload/worker/images/guest_call.py"),
                content=step.content,
            )
        case _:
            return None


def _apt(packages: tuple[str, ...]) -> str:
    names = shlex.join(packages)
    return "\n".join(
        (
            "set -e",
            'command -v apt-get >/dev/null || { echo "apt_install needs a Debian or Ubuntu: this image has no apt-get" >&2; exit 127; }',
            "apt-get -q -o Acquire::Retries=3 update",
            # What is being built is thrown away as a whole where the machine stops.
            f"apt-get -q install -y --no-install-recommends -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io -- {names}",
            "apt-get -q clean",
            "rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache",
        )
    )


def python_install(version: str, mirror: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the command that adds a release of Python, and what it is told by variables."""
    argv = (
        UV_AT, "python", "install", "--no-config", "--install-dir", "/opt/python", "--default", "--preview",
        *(("--mirror", mirror) if mirror else ()), version,
    )  # fmt: skip
    return argv, {"UV_PYTHON_BIN_DIR": "/usr/local/bin", "UV_CACHE_DIR": "/run/uv"}


def index_options(step: ImageStep, package_index: str) -> tuple[str, ...]:
    """Return uv's options for where packages come from and which of them count."""
    options: list[str] = []
    index = step.setting("index_url") or package_index
    if index:
        options += ["--default-index", index]
    if step.setting("extra_index_url"):
        options += ["--index", step.setting("extra_index_url")]
    if step.setting("pre"):
        options += ["--prerelease", "allow"]
    return tuple(options)


def _pip(step: ImageStep, python: str, package_index: str) -> Work:
    if not python:
        raise ImageError(
            "the image has no Python to install packages for: give it one with add_python="
        )
    argv = [
        python, "-I", f"{GUEST_AT}/offload/worker/images/guest_install.py", UV_AT,
        "--", "--python", python, *index_options(step, package_index),
    ]  # fmt: skip
    if step.kind == "pip_requirements":
        argv += ["--requirements", CONTENT_AT]
    else:
        argv += ["--", *step.arguments]
    return Work(tuple(argv), uses_uv=True, content=step.content)
