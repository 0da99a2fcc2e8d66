"""Programs that people run in containers: a console on one side, the request that is joined to the person's on the other.

Each direction takes a piece only once the piece before has been taken, so that a program that nobody listens to waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from typing import TYPE_CHECKING

from offload.wire.gen import containers_pb2
from offload.wire.guest import console
from offload.wire.status import WireError
from offload.worker.ports import ConsoleRefusedError

if TYPE_CHECKING:
    from offload.wire.link import Link, Stream
    from offload.worker.link.secrets import Welcomed
    from offload.worker.ports import HasConsoles, OpenedConsole

_log = logging.getLogger(__name__)

_METHOD = "offload.v1.Containers/Console"
_MESSAGE_BYTES = 64  # what one takes up beside its content
_ENDED = "its container has ended"

_Input = containers_pb2.ConsoleInput
_Output = containers_pb2.ConsoleOutput


class ConsoleLink:
    """The sessions that the server has told this worker of."""

    def __init__(self, connection: Welcomed, containers: HasConsoles) -> None:
        self._connection = connection
        self._containers = containers
        self._sessions: set[asyncio.Task[None]] = set()

    def open(self, session_id: str, container_id: str) -> None:
        """Take a session, and carry it on to its end."""
        task = asyncio.create_task(self._serve(session_id, container_id), name=session_id)
        self._sessions.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """End all. Idempotent."""
        for task in self._sessions:
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sessions.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            _log.error("console_failed %s", task.get_name(), exc_info=bug)

    async def _serve(self, session_id: str, container_id: str) -> None:
        # By the connection of its session the server knows who joins.
        link: Link = await self._connection.welcoming_link()
        stream = link.stream(_METHOD, _Input)
        try:
            with contextlib.suppress(WireError):  # the person, or the server, is gone
                await stream.send(containers_pb2.ConsoleAnswer(session_id=session_id))
                first = await stream.receive()
                if first is not None:
                    await self._run(first, container_id, stream)
        finally:
            stream.cancel()

    async def _run(self, first: _Input, container_id: str, stream: Stream[_Input]) -> None:
        try:
            opened = await self._containers.open_console(container_id)
        except ConsoleRefusedError as error:
            await _say(stream, _Output(refused=str(error)))
            await _hear_out(stream)
            return
        with opened.socket:
            await _Conversation(opened, stream).carry_on(first)


class _Conversation:
    """One program's, between its console and the server. It never waits to hear the server, so it hears that it is over."""

    def __init__(self, opened: OpenedConsole, stream: Stream[_Input]) -> None:
        self._opened = opened
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._untold: deque[_Input] = deque()
        self._untold_bytes = 0
        self._wake = asyncio.Event()
        self._saying = asyncio.Lock()  # a stream has one writer

    async def carry_on(self, first: _Input) -> None:
        """Return when the person is gone, or knows how the program ended."""
        tasks = [asyncio.create_task(each) for each in (self._tell(), self._hear())]
        try:
            with contextlib.suppress(WireError):
                said: _Input | None = first
                while said is not None and self._take(said):
                    said = await self._stream.receive()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, said: _Input) -> bool:
        self._untold.append(said)
        self._untold_bytes += len(said.input) + _MESSAGE_BYTES
        self._wake.set()
        return self._untold_bytes <= 2 * console.INPUT_WINDOW_BYTES

    async def _tell(self) -> None:
        """Pass on to the console what the person says, as fast as it is taken."""
        while True:
            while self._untold:
                said = self._untold.popleft()
                frame = _frame(said, self._opened)
                with contextlib.suppress(OSError):  # it is over, and is about to be told
                    await self._loop.sock_sendall(self._opened.socket, frame)
                self._untold_bytes -= len(said.input) + _MESSAGE_BYTES
                if said.input:
                    await self._say(_Output(taken=len(said.input)))
            self._wake.clear()
            await self._wake.wait()

    async def _hear(self) -> None:
        """Tell the server what the console says, and at last how the program ended."""
        frames = console.Frames()
        try:
            while data := await self._loop.sock_recv(self._opened.socket, 2 * console.PIECE_BYTES):
                for kind, body in frames.feed(data):
                    output = _output(kind, body)
                    await self._say(output)
                    if output.WhichOneof("said") in {"exit", "refused"}:
                        return
        except console.ConsoleProtocolError as error:
            await self._say(
                _Output(refused=f"what answers in the container is no console: {error}")
            )
            return
        except OSError:
            pass
        await self._say(_Output(refused=_ENDED))

    async def _say(self, output: _Output) -> None:
        with contextlib.suppress(WireError):
            async with self._saying:
                await _say(self._stream, output)


def _frame(said: _Input, opened: OpenedConsole) -> bytes:
    kind = said.WhichOneof("said")
    if kind == "start":
        return console.pack(console.START, _start(said.start, opened))
    if kind == "input":
        return console.pack(console.INPUT, said.input)
    if kind == "input_end":
        return console.pack(console.INPUT_END)
    if kind == "terminal":
        size = console.pack_size(said.terminal.rows, said.terminal.columns)
        return console.pack(console.SIZE, size)
    if kind == "signal" and said.signal < 65:
        return console.pack(console.SIGNAL, bytes([said.signal]))
    return b""


def _start(start: containers_pb2.ConsoleStart, opened: OpenedConsole) -> bytes:
    size = start.terminal
    order = {
        "argv": list(start.command),
        "env": {**dict(start.env), **opened.env},
        "cwd": opened.working_dir,
        "size": [size.rows, size.columns] if start.HasField("terminal") else None,
    }
    return json.dumps(order).encode()


def _output(kind: int, body: bytes) -> _Output:
    if len(body) > console.PIECE_BYTES:
        raise console.ConsoleProtocolError("it says too much at a time")
    if kind == console.OUTPUT:
        return _Output(output=body)
    if kind == console.ERRORS:
        return _Output(errors=body)
    if kind == console.EXIT and len(body) == 1:
        return _Output(exit=body[0])
    if kind == console.REFUSED:
        return _Output(refused=body.decode(errors="replace"))
    raise console.ConsoleProtocolError(f"kind {kind} is not known")


async def _say(stream: Stream[_Input], output: _Output) -> None:
    await stream.send(containers_pb2.ConsoleAnswer(output=output))


async def _hear_out(stream: Stream[_Input]) -> None:
    while await stream.receive() is not None:
        pass
