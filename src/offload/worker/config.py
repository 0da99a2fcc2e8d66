"""What a worker is told; the only reader of the environment."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from offload.worker.core.gpus import parse_gpus
from offload.worker.core.hands import INTERRUPT_GRACE_SECONDS
from offload.worker.core.values import Gpu
from offload.worker.images.machine import read_image_settings
from offload.worker.images.settings import ImageSettings
from offload.worker.runtimes.gpus import find_gpus

RUNTIMES = ("bubblewrap", "gvisor", "docker", "process")

_MEMORY_SHARE = 0.9
_MIB = 1024 * 1024
_GIB = 1024 * _MIB

_LABEL_CHARS = 255
_LABEL_KEY = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._/-]{{0,{_LABEL_CHARS - 1}}}")
_LABEL_VALUE = re.compile(rf"[^\x00-\x1f,]{{0,{_LABEL_CHARS}}}")

# A cgroup without a limit says "max" (v2) or a number near 2^63 (v1).
_NO_LIMIT_BYTES = 1 << 60


class ConfigError(ValueError):
    """A setting cannot be used; the message is one line that names it and says what would be right."""


def usable_cpu_milli() -> int:
    """Return the thousandths of cores that this process may use."""
    return len(os.sched_getaffinity(0)) * 1000


def usable_memory_mib() -> int:
    """Return 90 % of the memory that is available, or of the cgroup's limit where that is less."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    return int(min(available, _cgroup_limit_bytes()) * _MEMORY_SHARE) // _MIB


def _cgroup_limit_bytes() -> int:
    """Return the tightest memory limit of the cgroups this process is in, on either version."""
    limit = _NO_LIMIT_BYTES
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = Path("/sys/fs/cgroup") / controllers
        name = "memory.max" if not controllers else "memory.limit_in_bytes"
        group = root / path.lstrip("/")
        for directory in (group, *group.parents):
            if not directory.is_relative_to(root):
                break
            file = directory / name
            text = file.read_text().strip() if file.exists() else "max"
            if text != "max":
                limit = min(limit, int(text))
    return limit


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """One worker's settings."""

    server_url: str  # "ws://host:port/link"; http and https are understood as ws and wss
    token: str
    data_dir: Path  # blobs and spool files of this worker
    hidden_dir: Path | None = None  # the platform's whole state on this machine; None: data_dir
    name: str = field(default_factory=socket.gethostname)
    worker_id: str = field(default_factory=lambda: f"wk-{secrets.token_hex(8)}")
    cpu_milli: int = field(default_factory=usable_cpu_milli)
    memory_mib: int = field(default_factory=usable_memory_mib)
    gpus: tuple[Gpu, ...] = field(default_factory=find_gpus)
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str = (
        "bubblewrap"  # the default; "process" is no sandbox and must be chosen explicitly
    )
    also_runtimes: tuple[str, ...] = ()  # further ones that functions may name
    # For root: containers may also be shown folders that are closed to other users, when a function names them.
    shows_private: bool = False
    host_network: bool = False  # containers share the machine's network; must be chosen explicitly
    docker_socket: str | None = None  # of the engine for "docker"; None: where engines listen
    give_up_after_seconds: float = 0.0  # exit when the server has been gone so long; 0: never
    drain_seconds: float = 30.0  # how long inputs in hand may go on after SIGTERM
    templates: int = (
        8  # functions whose containers are forked, at most; 0: every container starts anew
    )
    output_mib: int = 64  # what an input may print; a line counts 256 bytes beside its text
    cancel_grace_seconds: float = INTERRUPT_GRACE_SECONDS  # for a cancelled input to clean up in
    cache_bytes: int = 10 * _GIB  # of blobs
    images: ImageSettings = field(default_factory=ImageSettings)
    tls_ca_file: Path | None = (
        None  # who signed the server's certificate; None: the system's authorities
    )

    @property
    def link_url(self) -> str:
        """The server's address as a WebSocket's."""
        url = self.server_url.rstrip("/")
        for scheme, link_scheme in (("http://", "ws://"), ("https://", "wss://")):
            if url.startswith(scheme):
                url = link_scheme + url.removeprefix(scheme)
        return url if url.endswith("/link") else f"{url}/link"

    @property
    def server_host(self) -> str:
        """The server's host, which no container reaches."""
        return urlsplit(self.link_url).hostname or ""

    @property
    def runtimes(self) -> tuple[str, ...]:
        """Every runtime to have, the default first."""
        return tuple(dict.fromkeys((self.runtime, *self.also_runtimes)))

    def check(self) -> None:
        """Raise `ConfigError` for the first setting that cannot be used."""
        if not self.link_url.startswith(("ws://", "wss://")):
            raise ConfigError(
                f"server URL {self.server_url!r} is no address of a server: use http://HOST:PORT"
            )
        if not self.token:
            raise ConfigError("no token: give the server's with --token-file or OFFLOAD_TOKEN")
        for name in self.runtimes:
            if name not in RUNTIMES:
                raise ConfigError(
                    f"there is no runtime {name!r}: choose one of {', '.join(RUNTIMES)}"
                )
        for setting, value in (("cpu", self.cpu_milli), ("memory", self.memory_mib)):
            if value <= 0:
                raise ConfigError(f"{setting} must be more than 0, not {value}")
        for setting, number in (
            ("give-up-after-seconds", self.give_up_after_seconds),
            ("drain-seconds", self.drain_seconds),
            ("cancel-grace", self.cancel_grace_seconds),
            ("blob-cache-gib", self.cache_bytes),
            ("image-cache-gib", self.images.max_bytes),
            ("templates", self.templates),
            ("output-mib", self.output_mib),
        ):
            if not number >= 0:
                raise ConfigError(f"{setting} must not be negative, as {number:g} is")
        if self.tls_ca_file is not None and not self.tls_ca_file.is_file():
            raise ConfigError(f"the TLS authority file {self.tls_ca_file} does not exist")

    @classmethod
    def from_environment(cls, data_dir: Path) -> WorkerConfig:
        """Return the settings that the environment gives; docs/reference/configuration.md names them all."""
        environment = os.environ  # noqa: TID251  # this is the module that may
        token = environment.get("OFFLOAD_TOKEN", "")
        token_file = environment.get("OFFLOAD_TOKEN_FILE")
        if not token and token_file:
            token = read_token(Path(token_file))
        url = environment.get("OFFLOAD_SERVER_URL", "http://127.0.0.1:50080")
        readers: dict[str, tuple[str, Callable[[str, str], object]]] = {
            "gpus": ("OFFLOAD_GPUS", read_gpus),
            "labels": ("OFFLOAD_LABELS", _read_label_list),
            "drain_seconds": ("OFFLOAD_DRAIN_SECONDS", _read_seconds),
            "docker_socket": ("DOCKER_HOST", _read_docker_host),
            "cancel_grace_seconds": ("OFFLOAD_CANCEL_GRACE_SECONDS", _read_seconds),
            "templates": ("OFFLOAD_TEMPLATES", _read_count),
            "cache_bytes": ("OFFLOAD_BLOB_CACHE_GIB", _read_gib),
            "output_mib": ("OFFLOAD_OUTPUT_MIB", _read_count),
        }
        given = {
            field_name: read(environment[name], name)
            for field_name, (name, read) in readers.items()
            if environment.get(name)
        }
        images = read_image_settings(environment)
        if environment.get("OFFLOAD_IMAGE_CACHE_GIB"):
            limit = _read_gib(environment["OFFLOAD_IMAGE_CACHE_GIB"], "OFFLOAD_IMAGE_CACHE_GIB")
            images = replace(images, max_bytes=limit)
        return cls(server_url=url, token=token, data_dir=data_dir, images=images, **given)  # type: ignore[arg-type]  # each reader returns its field's type


def read_gpus(text: str, setting: str) -> tuple[Gpu, ...]:
    """Return the devices that a setting names (see `parse_gpus`), with what the driver knows of them. Raises `ConfigError`."""
    try:
        named = parse_gpus(text)
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}") from None
    found = {gpu.index: gpu.uuid for gpu in find_gpus()} if named else {}
    return tuple(replace(gpu, uuid=found.get(gpu.index, "")) for gpu in named)


def read_labels(texts: Iterable[str], setting: str) -> dict[str, str]:
    """Return labels that are written as "key=value". Raises `ConfigError`."""
    labels: dict[str, str] = {}
    for text in texts:
        key, separator, value = (part.strip() for part in text.partition("="))
        if not separator or not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise ConfigError(
                f"{setting}: {text!r} is not KEY=VALUE, with a key of letters, digits and ._/- and a value "
                f"of at most {_LABEL_CHARS} characters without a comma"
            )
        if labels.setdefault(key, value) != value:
            raise ConfigError(f"{setting}: {key} is both {labels[key]!r} and {value!r}")
    return labels


def _read_label_list(text: str, setting: str) -> dict[str, str]:
    return read_labels([label for label in text.split(",") if label.strip()], setting)


def _read_docker_host(text: str, _setting: str) -> str | None:
    """Return the path of the engine's socket. An engine elsewhere, which Docker's other programs may mean, is none for us."""
    scheme, _, path = text.partition("://")
    return path if scheme == "unix" else None


def _read_seconds(text: str, setting: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{setting}: {text!r} is not a number of seconds") from None


def _read_gib(text: str, setting: str) -> int:
    try:
        return round(float(text) * _GIB)
    except (ValueError, OverflowError):
        raise ConfigError(f"{setting}: {text!r} is not a number of GiB") from None


def _read_count(text: str, setting: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{setting}: {text!r} is not a whole number") from None


def read_token(path: Path) -> str:
    """Return the token in a file. Raises `ConfigError`."""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"the token file {path} cannot be read: {error.strerror}") from error
