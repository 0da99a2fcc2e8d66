"""The few requests of the Docker Engine's API that a runtime and a builder need, over its Unix socket.

Written with the standard library: some requests with small JSON bodies do not repay a client library and what it
depends on. HTTP/1.0, so that an answer ends where its connection does and the engine sends no chunks; a connection to a Unix
socket costs less than what it would save to keep one.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OWNER_LABEL = "offload.owner"
OWN_SOCKET = "/run/user/{}/docker.sock"
ROOTS_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")

_NOW_SECONDS = 10.0
_PIECE = struct.Struct(">BxxxI")
_UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"  # to a connection of bytes, both ways


class _Listed(TypedDict):
    Id: str
    Name: str
    Labels: dict[str, str]


class _Info(TypedDict):
    MemoryLimit: bool
    PidsLimit: bool
    CpuCfsQuota: bool
    SecurityOptions: list[str]


class _State(TypedDict):
    OOMKilled: bool


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
class Request:
    """One request; `body` is of this kind."""

    method: str
    path: str
    body: bytes = b""
    kind: str = "application/json"

    def encoded(self, more: str = "") -> bytes:
        """Return it as it goes over the socket, with `more` lines in its head."""
        head = (
            f"{self.method} {self.path} HTTP/1.{1 if more else 0}\r\nHost: docker\r\n{more}"
            f"Content-Type: {self.kind}\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine can limit of a container, and who users in one are."""

    limits_memory: bool
    limits_pids: bool
    limits_cpu: bool
    remaps_users: bool  # they are others outside


@dataclass(frozen=True, slots=True)
class Attached:
    """What a process in a container reads and writes; all that it writes comes in pieces, with a head of its own each."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Give it all that it will ever read."""
        with suppress(ConnectionError):  # it has ended already, and its code says why
            self.writer.write(data)
            await self.writer.drain()
            self.writer.write_eof()

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield what it writes to descriptors 1 and 2, each piece with the one that it was written to, until it ends."""
        try:
            while True:
                fd, size = _PIECE.unpack(await self.reader.readexactly(_PIECE.size))
                yield fd, await self.reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError):
            return

    def close(self) -> None:
        """Hang up. Idempotent."""
        self.writer.close()


class DockerEngine:
    """An engine by the path of its socket. Every method raises `DockerError`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def facts_now(self) -> EngineFacts:
        """Return what the engine can do on its machine; blocks."""
        info = cast("_Info", self._ask_now(Request("GET", "/info")))
        options = [option.partition(",")[0] for option in info.get("SecurityOptions") or ()]
        return EngineFacts(
            info["MemoryLimit"],
            info["PidsLimit"],
            info["CpuCfsQuota"],
            remaps_users="name=rootless" in options or "name=userns" in options,
        )

    def networks_now(self) -> set[str]:
        """Return the names of the engine's networks; blocks."""
        return {
            network["Name"]
            for network in cast("list[_Listed]", self._ask_now(Request("GET", "/networks")))
        }

    def load_image_now(self, name: str, tar: bytes) -> None:
        """Make an image of a tar's content; blocks."""
        repository, _, tag = name.partition(":")
        query = urlencode({"fromSrc": "-", "repo": repository, "tag": tag})
        self._ask_now(Request("POST", f"/images/create?{query}", tar, "application/x-tar"))

    def containers_now(self, label: str) -> dict[str, str]:
        """Return the ids of all containers that have the label, each with its value; blocks."""
        query = urlencode({"all": "1", "filters": json.dumps({"label": [label]})})
        answer = self._ask_now(Request("GET", f"/containers/json?{query}"))
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
        answer = await self.ask(Request("POST", path, json.dumps(body).encode()))
        return answer["Id"]

    async def start(self, container: str) -> None:
        """Start a container that was created."""
        await self.ask(Request("POST", f"/containers/{container}/start"))

    async def wait(self, container: str) -> int:
        """Return the exit code of a container that was started, once it has ended."""
        answer = await self.ask(Request("POST", f"/containers/{container}/wait"))
        return answer["StatusCode"]

    async def was_out_of_memory(self, container: str) -> bool:
        """Return whether the kernel killed a process of the container for its memory limit."""
        answer = await self.ask(Request("GET", f"/containers/{container}/json"))
        return answer["State"]["OOMKilled"]

    async def kill(self, container: str) -> None:
        """Kill every process of a container; one that has ended is left alone."""
        try:
            await self.ask(Request("POST", f"/containers/{container}/kill"))
        except DockerError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise

    async def exec(self, container: str, body: dict[str, object]) -> Attached:
        """Start a further process in a container that runs, and return the connection to what it reads and writes."""
        path = f"/containers/{container}/exec"
        answer = await self.ask(Request("POST", path, json.dumps(body).encode()))
        started = Request("POST", f"/exec/{answer['Id']}/start", b'{"Detach":false,"Tty":false}')
        return await self._attached(started, _UPGRADE)

    async def attach(self, container: str) -> Attached:
        """Connect to a container that was created and not started yet."""
        streams = "stream=1&stdin=1&stdout=1&stderr=1"
        return await self._attached(Request("POST", f"/containers/{container}/attach?{streams}"))

    async def _attached(self, request: Request, more: str = "") -> Attached:
        try:
            reader, writer = await asyncio.open_unix_connection(self.path)
        except OSError as error:
            raise self._unreachable(error) from error
        try:
            writer.write(request.encoded(more))
            head = await reader.readuntil(b"\r\n\r\n")
            if int(head.split(maxsplit=2)[1]) >= HTTPStatus.BAD_REQUEST:
                answer_of(request, head + await reader.read())
        except (OSError, asyncio.IncompleteReadError) as error:
            writer.close()
            raise self._unreachable(error) from error
        except BaseException:
            writer.close()
            raise
        return Attached(reader, writer)

    async def remove(self, container: str) -> None:
        """Kill and remove a container; one that is gone already is removed."""
        await self.ask(_removal(container))

    async def ask(self, request: Request) -> _Reply:
        """Make a request and return its answer."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.path)
            try:
                writer.write(request.encoded())
                return cast("_Reply", answer_of(request, await reader.read()))
            finally:
                writer.close()
        except OSError as error:
            raise self._unreachable(error) from error

    def _ask_now(self, request: Request, seconds: float = _NOW_SECONDS) -> object:
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(seconds)
                sock.connect(self.path)
                sock.sendall(request.encoded())
                with sock.makefile("rb") as stream:
                    return answer_of(request, stream.read())
        except OSError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> DockerError:
        return DockerError(0, f"the Docker Engine at {self.path} cannot be reached: {error}")


def owner_of(pid: int) -> str:
    """Name a process for good: numbers come again, and are another's in another namespace."""
    began = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    return f"{os.readlink('/proc/self/ns/pid')}.{pid}.{began}"  # noqa: PTH115 - no path leads there


def remove_left_behind(engine: DockerEngine) -> None:
    """Remove the containers of processes that died, a container's rest or a build that nobody waits for; blocks."""
    here = owner_of(os.getpid()).split(".")[0]
    for container, owner in engine.containers_now(OWNER_LABEL).items():
        namespace, _, rest = owner.partition(".")
        if namespace != here:
            continue
        pid = rest.partition(".")[0]
        try:
            is_alive = owner_of(int(pid)) == owner
        except OSError:
            is_alive = False
        if not is_alive:
            engine.remove_now(container)


def find_socket(chosen: str | None) -> str | None:
    """Return the socket of the engine that this user may use: the chosen one, the user's own, or root's."""
    if chosen is not None:
        return chosen
    places = (OWN_SOCKET.format(os.getuid()), *ROOTS_SOCKETS)
    return next((path for path in places if os.access(path, os.W_OK)), None)


def _removal(container: str) -> Request:
    return Request("DELETE", f"/containers/{container}?force=1&v=1")


def answer_of(request: Request, data: bytes) -> object:
    """Return what the engine answered. Raises `DockerError`."""
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
