"""A real registry on loopback, and a hand that fills it with whatever a test needs, honest or not."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from offload.worker.images.references import architecture

if TYPE_CHECKING:
    from pathlib import Path

USER, PASSWORD = "ann", "s3cret"
_HTPASSWD = "ann:$2y$05$SYNXDPVbdbFb3G3pYoLbUOBNJU1.cuOHlRxEgPEjvV8GVvEH6Bj7a\n"

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass
class Layer:
    """An archive on its way to a registry."""

    tar: bytes
    compression: str = "gzip"  # or "zstd", "none"

    @functools.cached_property
    def data(self) -> bytes:
        if self.compression == "zstd":
            done = subprocess.run(
                ["zstd", "-q", "-c"], input=self.tar, capture_output=True, check=True
            )
            return done.stdout
        return gzip.compress(self.tar, 1) if self.compression == "gzip" else self.tar

    @property
    def media_type(self) -> str:
        return _LAYER if self.compression == "none" else f"{_LAYER}+{self.compression}"


def tar(*entries: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    """Return an archive of ready entries and of (name, content) pairs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            name, content = entry
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name: str, kind: bytes, link: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    """Return an entry that is no plain file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


@dataclass
class Registry:
    """A registry that runs."""

    address: str
    process: subprocess.Popen[bytes]
    is_closed_to_strangers: bool
    pushed: dict[str, bytes] = field(default_factory=dict)

    def push(
        self,
        name: str,
        layers: list[Layer],
        *,
        env: tuple[str, ...] = (),
        machine: str = "",
        folder: str = "/",
    ) -> str:
        """Store an image; return its manifest's digest. `name` is "repository:tag"."""
        repository, _, tag = name.partition(":")
        config = {
            "architecture": machine or architecture()[0],
            "os": "linux",
            "config": {"Env": list(env), "WorkingDir": folder},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer.tar) for layer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(
                repository, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"
            ),
            "layers": [self._blob(repository, layer.data, layer.media_type) for layer in layers],
        }
        return self.put_manifest(repository, tag, json.dumps(manifest).encode(), MANIFEST)

    def push_index(self, name: str, digests: dict[str, str]) -> str:
        """Store an index of manifests that are there already, by their architecture."""
        repository, _, tag = name.partition(":")
        entries = [
            {
                "mediaType": MANIFEST,
                "digest": digest,
                "size": len(self.pushed[digest]),
                "platform": {"os": "linux", "architecture": machine},
            }
            for machine, digest in digests.items()
        ]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        return self.put_manifest(repository, tag, json.dumps(index).encode(), INDEX)

    def put_manifest(self, repository: str, tag: str, data: bytes, media_type: str) -> str:
        self._request("PUT", f"/v2/{repository}/manifests/{tag}", data, media_type)
        digest = _digest(data)
        self.pushed[digest] = data
        return digest

    def _blob(self, repository: str, data: bytes, media_type: str) -> dict[str, object]:
        digest = _digest(data)
        _, headers = self._request("POST", f"/v2/{repository}/blobs/uploads/", b"", "")
        place = headers["Location"]
        joint = "&" if "?" in place else "?"
        self._request("PUT", f"{place}{joint}digest={digest}", data, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def _request(
        self, method: str, path: str, data: bytes, kind: str
    ) -> tuple[int, dict[str, str]]:
        url = path if path.startswith("http") else f"http://{self.address}{path}"
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - our own
        if kind:
            request.add_header("Content-Type", kind)
        if self.is_closed_to_strangers:
            token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - as above
            return reply.status, dict(reply.headers)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def start_registry(folder: Path, *, is_closed_to_strangers: bool = False) -> Registry:
    """Start Debian's docker-registry with its state in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if is_closed_to_strangers:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log
        )
    _wait_for(port, process)
    return Registry(f"127.0.0.1:{port}", process, is_closed_to_strangers)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            try:
                process.wait(timeout=0.05)  # a moment, or its end
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError("docker-registry ended at once") from None
        return
    raise RuntimeError("docker-registry does not listen")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
