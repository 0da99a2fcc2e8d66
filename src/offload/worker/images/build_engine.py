"""What a builder asks of the Docker Engine, beyond what a runtime does: commits, archives and images."""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, TypedDict, cast
from urllib.parse import quote, urlencode

from offload.worker.docker_engine import DockerEngine, DockerError, Request, answer_of

_SECONDS = 600.0  # for an archive on its way
_CHUNK = 1024 * 1024


class _Image(TypedDict):
    Id: str
    RepoTags: list[str] | None
    Size: int
    Labels: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image that the engine has."""

    image_id: str
    names: tuple[str, ...]  # none: another has taken its name
    size_bytes: int  # with all below it
    labels: dict[str, str]


class BuildEngine(DockerEngine):
    """See the module. Every method raises `DockerError`; those with `now` in their names block."""

    def commit_now(self, container: str, name: str, labels: dict[str, str]) -> None:
        """Make what a container has changed an image on top of its own."""
        repository, _, tag = name.partition(":")
        query = urlencode({"container": container, "repo": repository, "tag": tag})
        body = json.dumps({"Labels": labels}).encode()
        self._ask_now(Request("POST", f"/commit?{query}", body), _SECONDS)

    def put_archive_now(self, container: str, file: IO[bytes], size_bytes: int) -> None:
        """Unpack an archive into a container that does not run."""
        self._send_now("PUT", f"/containers/{container}/archive?path=/", file, size_bytes)

    def get_archive_now(self, container: str, path: str, file: IO[bytes]) -> None:
        """Write what a folder of a container holds to a file, as an archive."""
        request = Request("GET", f"/containers/{container}/archive?path={quote(path)}")
        with self._connected() as sock, sock.makefile("rwb") as stream:
            stream.write(request.encoded())
            stream.flush()
            status = int(stream.readline().split(maxsplit=2)[1])
            while stream.readline() not in (b"\r\n", b""):
                pass
            if status != HTTPStatus.OK:
                raise DockerError(status, f"the Docker Engine gives no archive of {path}")
            shutil.copyfileobj(stream, file, _CHUNK)

    def import_now(
        self, name: str, file: IO[bytes], size_bytes: int, labels: dict[str, str]
    ) -> None:
        """Make an archive an image with nothing below it."""
        repository, _, tag = name.partition(":")
        changes = [f"LABEL {key}={json.dumps(value)}" for key, value in labels.items()]
        query = urlencode(
            {"fromSrc": "-", "repo": repository, "tag": tag, "changes": changes}, doseq=True
        )
        self._send_now("POST", f"/images/create?{query}", file, size_bytes)

    def image_now(self, name: str) -> EngineImage | None:
        """Return an image by its name; None where there is none."""
        try:
            found = self._ask_now(Request("GET", f"/images/{quote(name)}/json"))
        except DockerError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        image = cast("dict[str, object]", found)
        labels = cast("dict[str, dict[str, str] | None]", image["Config"])["Labels"]
        return EngineImage(str(image["Id"]), (name,), cast("int", image["Size"]), labels or {})

    def images_now(self, label: str) -> list[EngineImage]:
        """List the images that have a label."""
        query = urlencode({"filters": json.dumps({"label": [label]})})
        found = cast("list[_Image]", self._ask_now(Request("GET", f"/images/json?{query}")))
        return [
            EngineImage(
                image["Id"],
                tuple(name for name in image["RepoTags"] or () if name != "<none>:<none>"),
                image["Size"],
                image["Labels"] or {},
            )
            for image in found
        ]

    def remove_image_now(self, name: str) -> bool:
        """Remove an image, unless something uses it; return whether it is gone."""
        try:
            self._ask_now(Request("DELETE", f"/images/{quote(name)}?noprune=1"), _SECONDS)
        except DockerError as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def _send_now(self, method: str, path: str, file: IO[bytes], size_bytes: int) -> None:
        head = (
            f"{method} {path} HTTP/1.0\r\nHost: docker\r\n"
            f"Content-Type: application/x-tar\r\nContent-Length: {size_bytes}\r\n\r\n"
        )
        request = Request(method, path, kind="application/x-tar")
        with self._connected() as sock:
            with suppress(BrokenPipeError):  # its answer says why
                sock.sendall(head.encode())
                sock.sendfile(file)
            with sock.makefile("rb") as stream:
                answer = stream.read()
        answer_of(request, answer)
        # An import tells of its failure inside of an answer that began well.
        if b'"errorDetail"' in answer:
            raise DockerError(0, answer.decode(errors="replace").strip().rpartition("\n")[2])

    def _connected(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(_SECONDS)
        try:
            sock.connect(self.path)
        except OSError as error:
            sock.close()
            raise self._unreachable(error) from error
        return sock
