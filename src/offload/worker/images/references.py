"""What references and manifests of OCI registries say. Pure."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from typing import cast

DOCKER_HUB = "registry-1.docker.io"

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class RegistryError(Exception):
    """A registry does not give what was asked for; the message is one line."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is: `tag` may be a digest."""

    registry: str
    repository: str
    tag: str

    def __str__(self) -> str:
        separator = "@" if ":" in self.tag else ":"
        return f"{self.registry}/{self.repository}{separator}{self.tag}"

    @property
    def is_on_docker_hub(self) -> bool:
        """Whether no registry was named."""
        return self.registry == DOCKER_HUB


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob of a registry."""

    digest: str
    size_bytes: int
    media_type: str

    @property
    def compression(self) -> str:
        """How the layer is compressed: "zstd", or what tar finds out by itself."""
        return "zstd" if self.media_type.endswith("zstd") else "gzip"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: its configuration and layers, the lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class Configuration:
    """How programs run in an image of a registry."""

    env: tuple[tuple[str, str], ...]
    working_dir: str
    diff_ids: tuple[str, ...]  # SHA-256 of each layer's archive, uncompressed


def parse_reference(text: str) -> Reference:
    """Read "python:3.11", "registry:5000/team/image@sha256:…" and the like."""
    rest, _, digest = text.partition("@")
    first, slash, remainder = rest.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, remainder) if has_registry else (DOCKER_HUB, rest)
    if registry == "docker.io":
        registry = DOCKER_HUB
    name, colon, tag = path.rpartition(":")
    repository, tag = (name, tag) if colon and "/" not in tag else (path, "latest")
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return Reference(registry, repository, digest or tag)


def architecture() -> tuple[str, str]:
    """Return this machine's architecture as registries name it, and its variant."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine), "v7" if machine == "armv7l" else ""


def choose(index: bytes, wanted: tuple[str, str]) -> str:
    """Return the digest of the manifest for an architecture. Raises `RegistryError` that lists those there are."""
    name, variant = wanted
    offered = []
    for entry in _list(_object(index), "manifests"):
        where = _dict(entry.get("platform", {}))
        if where.get("os", "linux") != "linux" or where.get("architecture") in (None, "unknown"):
            continue
        offered.append(f"{where['architecture']}{where.get('variant', '')}")
        if where["architecture"] == name and where.get("variant", variant) in ("", variant, "v8"):
            return str(entry["digest"])
    raise RegistryError(
        f"it is not there for {name}; it is for {', '.join(map(str, offered)) or 'no machine'}"
    )


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest. Raises `RegistryError`."""
    manifest = _object(data)
    if "config" not in manifest or "layers" not in manifest:
        version = manifest.get("schemaVersion")
        raise RegistryError(f"its manifest has a form that is not known here (version {version})")
    return Manifest(
        _descriptor(_dict(manifest["config"])),
        tuple(_descriptor(layer) for layer in _list(manifest, "layers")),
    )


def parse_configuration(data: bytes) -> Configuration:
    """Read an image's configuration. Raises `RegistryError`."""
    whole = _object(data)
    config = _dict(whole.get("config") or {})
    env = config.get("Env") or []
    if not isinstance(env, list):
        raise RegistryError("its configuration is damaged")
    pairs = (str(entry).partition("=") for entry in env)
    diff_ids = _dict(whole.get("rootfs") or {}).get("diff_ids") or []
    if not isinstance(diff_ids, list):
        raise RegistryError("its configuration is damaged")
    return Configuration(
        tuple((name, value) for name, _, value in pairs),
        str(config.get("WorkingDir") or "/"),
        tuple(map(str, diff_ids)),
    )


def _descriptor(entry: dict[str, object]) -> Descriptor:
    digest, size = entry.get("digest"), entry.get("size")
    if not isinstance(digest, str) or not digest.startswith("sha256:") or not isinstance(size, int):
        raise RegistryError("its manifest names a blob without a SHA-256 or a size")
    return Descriptor(digest, size, str(entry.get("mediaType", "")))


def _object(data: bytes) -> dict[str, object]:
    try:
        return _dict(json.loads(data))
    except ValueError as error:
        raise RegistryError("the registry's answer is no JSON") from error


def _dict(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise RegistryError("the registry's answer has another form than it should")
    return cast("dict[str, object]", value)


def _list(container: dict[str, object], name: str) -> list[dict[str, object]]:
    value = container.get(name)
    if not isinstance(value, list):
        raise RegistryError(f"the registry's answer has no {name}")
    return [_dict(entry) for entry in value]
