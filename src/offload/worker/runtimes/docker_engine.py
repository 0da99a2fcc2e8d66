"""The few requests of the Docker Engine's API that a runtime needs, over its Unix socket.

Written with the standard library: ten requests with small JSON bodies do not repay a client library and what it
depends on. HTTP/1.0, so that an answer ends where its connection does and the engine sends no chunks; a connection to a Unix
socket costs less than what it would save to keep one.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypedDict, cast
from urllib.parse import quote, urlencode

_NOW_SECONDS = 10.0


class _Listed(TypedDict):
    Id: str
    Name: str
    Labels: dict[str, str]


class _Info(TypedDict):
    MemoryLimit: bool
    PidsLimit: bool
    CpuCfsQuota: bool


class _State(TypedDict):
    OOMKilled: bool
    Pid: int


class _Reply(TypedDict):
    """What of the engine's answers is read; each answer has some of it."""

    Id: str
    StatusCode: int
    State: _State


class DockerError(Exception):
    """The engine refused, or could not be asked (`status` 0); the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: bytes = b""
    kind: str = "application/json"

    def encoded(self) -> bytes:
        head = (
            f"{self.method} {self.path} HTTP/1.0\r\nHost: docker\r\n"
            f"Content-Type: {self.kind}\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


class DockerEngine:
    """An engine by the path of its socket. Every method raises `DockerError`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def limits_now(self) -> tuple[bool, bool, bool]:
        """Return whether the engine can limit a container's memory, its processes, and its cores; blocks."""
        info = cast("_Info", self._ask_now(_Request("GET", "/info")))
        return info["MemoryLimit"], info["PidsLimit"], info["CpuCfsQuota"]

    def networks_now(self) -> set[str]:
        """Return the names of the engine's networks; blocks."""
        return {
            network["Name"]
            for network in cast("list[_Listed]", self._ask_now(_Request("GET", "/networks")))
        }

    def load_image_now(self, name: str, tar: bytes) -> None:
        """Make an image of a tar's content; blocks."""
        repository, _, tag = name.partition(":")
        query = urlencode({"fromSrc": "-", "repo": repository, "tag": tag})
        self._ask_now(_Request("POST", f"/images/create?{query}", tar, "application/x-tar"))

    def containers_now(self, label: str) -> dict[str, str]:
        """Return the ids of all containers that have the label, each with its value; blocks."""
        query = urlencode({"all": "1", "filters": json.dumps({"label": [label]})})
        answer = self._ask_now(_Request("GET", f"/containers/json?{query}"))
        found = cast("list[_Listed]", answer)
        return {entry["Id"]: entry["Labels"][label] for entry in found}

    def remove_now(self, container: str) -> None:
        """Kill and remove a container; one that is gone already is removed. Blocks."""
        self._ask_now(_removal(container))

    async def load_image(self, name: str, tar: bytes) -> None:
        """See `load_image_now`."""
        await asyncio.to_thread(self.load_image_now, name, tar)

    async def create(self, name: str, body: dict[str, object]) -> str:
        """Create a container and return its id."""
        path = f"/containers/create?name={quote(name)}"
        answer = await self._ask(_Request("POST", path, json.dumps(body).encode()))
        return answer["Id"]

    async def start(self, container: str) -> None:
        """Start a container that was created."""
        await self._ask(_Request("POST", f"/containers/{container}/start"))

    async def wait(self, container: str) -> int:
        """Return the exit code of a container that was started, once it has ended."""
        answer = await self._ask(_Request("POST", f"/containers/{container}/wait"))
        return answer["StatusCode"]

    async def pid_of(self, container: str) -> int:
        """Return the number of a started container's first process; 0 where it has ended."""
        answer = await self._ask(_Request("GET", f"/containers/{container}/json"))
        return answer["State"]["Pid"]

    async def was_out_of_memory(self, container: str) -> bool:
        """Return whether the kernel killed a process of the container for its memory limit."""
        answer = await self._ask(_Request("GET", f"/containers/{container}/json"))
        return answer["State"]["OOMKilled"]

    async def kill(self, container: str) -> None:
        """Kill every process of a container; one that has ended is left alone."""
        try:
            await self._ask(_Request("POST", f"/containers/{container}/kill"))
        except DockerError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise

    async def remove(self, container: str) -> None:
        """Kill and remove a container; one that is gone already is removed."""
        await self._ask(_removal(container))

    async def _ask(self, request: _Request) -> _Reply:
        try:
            reader, writer = await asyncio.open_unix_connection(self.path)
            try:
                writer.write(request.encoded())
                return cast("_Reply", _answer(request, await reader.read()))
            finally:
                writer.close()
        except OSError as error:
            raise self._unreachable(error) from error

    def _ask_now(self, request: _Request) -> object:
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(_NOW_SECONDS)
                sock.connect(self.path)
                sock.sendall(request.encoded())
                with sock.makefile("rb") as stream:
                    return _answer(request, stream.read())
        except OSError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: OSError) -> DockerError:
        return DockerError(0, f"the Docker Engine at {self.path} cannot be reached: {error}")


def _removal(container: str) -> _Request:
    return _Request("DELETE", f"/containers/{container}?force=1&v=1")


def _answer(request: _Request, data: bytes) -> object:
    head, _, body = data.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if len(words) < 2 or not words[1].isdigit():
        raise DockerError(0, "the Docker Engine hung up; is it still running?")
    status = int(words[1])
    is_removed = request.method == "DELETE" and status in (
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
    )
    if status >= HTTPStatus.BAD_REQUEST and not is_removed:
        raise DockerError(status, _message(body))
    if not body.strip() or request.kind != "application/json":
        return None
    answer: object = json.loads(body)
    return answer


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or "the Docker Engine gave no reason"
