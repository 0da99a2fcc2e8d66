"""A server played by a test: what the worker's session dials, without a network."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from offload.wire.gen import blobs_pb2, workers_pb2
from offload.wire.status import LinkClosedError, WireError
from offload.worker.core.values import FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

__all__ = ["FailureKind", "ScriptedServer"]


class _Stream:
    """One stream of a scripted link."""

    def __init__(self, server: ScriptedServer, method: str) -> None:
        self._server = server
        self._method = method
        self._sent: list[Message] = []
        self.replies: asyncio.Queue[Message | WireError | None] = asyncio.Queue()

    async def send(self, message: Message) -> None:
        if self._server.is_broken:
            raise LinkClosedError("broken by the test")
        self.send_now(message)

    @property
    def can_send(self) -> bool:
        return not self._server.is_broken

    def intercept(self, take: Callable[[Message], bool]) -> None:
        """Leave every reply to the reader, as a stream may."""

    def send_now(self, message: Message) -> None:
        copy = type(message)()
        copy.CopyFrom(message)
        self._sent.append(copy)
        self._server.heard(self, self._method, copy)

    async def end(self) -> None:
        self._server.ended(self, self._method, self._sent)

    async def receive(self) -> Message | None:
        reply = await self.replies.get()
        if isinstance(reply, WireError):
            raise reply
        return reply

    def cancel(self) -> None:
        pass

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> Message:
        reply = await self.receive()
        if reply is None:
            raise StopAsyncIteration
        return reply


class _Link:
    is_closed = False

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def stream(self, method: str, reply: type[Message]) -> _Stream:
        return _Stream(self._server, method)

    async def close(self) -> None:
        self.is_closed = True


class ScriptedServer:
    """Knobs: `refusal` is raised at each dial; `blobs` are what can be downloaded and what was uploaded."""

    def __init__(self, refusal: WireError | None = None) -> None:
        self.refusal = refusal
        self.is_broken = False
        self.dials = 0
        self.hellos: list[workers_pb2.Hello] = []
        self.messages: list[workers_pb2.WorkerMessage] = []
        self.blobs: dict[str, bytes] = {}
        self.downloads: list[str] = []
        self._session: _Stream | None = None
        self._news = asyncio.Event()

    async def dial(self, url: str, token: str, *, tls: object = None) -> _Link:
        self.dials += 1
        self._news.set()
        if self.refusal is not None:
            raise self.refusal
        self.is_broken = False
        return _Link(self)

    def say(self, **fields: object) -> None:
        """Send a ServerMessage."""
        assert self._session is not None
        self._session.replies.put_nowait(workers_pb2.ServerMessage(**fields))

    def break_connection(self, error: WireError | None = None) -> None:
        """Cut the session, as a broken network does, or as the server does with the error that it says."""
        assert self._session is not None
        self.is_broken = True
        self._session.replies.put_nowait(error or LinkClosedError("broken by the test"))

    async def until(self, condition: Callable[[], object]) -> object:
        """Return the first true value of `condition`, looked at whenever the worker has said something."""
        async with asyncio.timeout(60):
            while not (value := condition()):
                self._news.clear()
                await self._news.wait()
        return value

    def heard(self, stream: _Stream, method: str, message: Message) -> None:
        if isinstance(message, workers_pb2.WorkerMessage):
            if message.HasField("hello"):
                self._session = stream
                self.hellos.append(message.hello)
                welcome = workers_pb2.Welcome(server_version="test", heartbeat_seconds=3)
                self.say(welcome=welcome)
            self.messages.append(message)
        self._news.set()

    def ended(self, stream: _Stream, method: str, sent: list[Message]) -> None:
        if method.endswith("/Upload"):
            data = b"".join(chunk.data for chunk in sent)
            sha256 = hashlib.sha256(data).hexdigest()
            self.blobs[sha256] = data
            reply = blobs_pb2.UploadReply()
            reply.blob.sha256 = sha256
            reply.blob.size_bytes = len(data)
            stream.replies.put_nowait(reply)
        elif method.endswith("/Download"):
            sha256 = sent[0].sha256
            self.downloads.append(sha256)
            stream.replies.put_nowait(blobs_pb2.DownloadChunk(data=self.blobs[sha256]))
            stream.replies.put_nowait(None)
        else:
            stream.replies.put_nowait(None)
        self._news.set()

    # --- what has been said so far ---

    @property
    def results(self) -> dict[str, workers_pb2.InputResult]:
        return {r.input_id: r for message in self.messages for r in message.results}

    @property
    def returned(self) -> dict[str, workers_pb2.ReturnedInput]:
        return {r.input_id: r for message in self.messages for r in message.returned}

    @property
    def items(self) -> list[workers_pb2.InputItem]:
        return [item for message in self.messages for item in message.items]

    @property
    def logs(self) -> list[object]:
        return [line for message in self.messages for line in message.logs]

    @property
    def windows(self) -> dict[str, int]:
        return {w.function_id: w.inputs for message in self.messages for w in message.windows}

    def states(self, container_id: str) -> list[int]:
        return [report.state for report in self.reports(container_id)]

    def reports(self, container_id: str) -> list[workers_pb2.ContainerReport]:
        return [
            report
            for message in self.messages
            for report in message.containers
            if report.container_id == container_id
        ]
