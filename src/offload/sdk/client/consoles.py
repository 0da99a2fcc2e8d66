"""Running a program in a container: the conversation with the server."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from offload.wire.gen import containers_pb2
from offload.wire.guest.console import INPUT_WINDOW_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.wire.link import Link, Stream

METHOD = "offload.v1.Containers/Exec"


class RefusedError(Exception):
    """There is no program, or none any more; the message says why."""


class Person(Protocol):
    """Whoever a program runs for."""

    async def read(self) -> bytes:
        """Return what is typed or sent next; empty at its end."""

    async def show(self, data: bytes, *, is_error: bool) -> None:
        """Show what the program writes."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and where."""

    container_id: str
    command: tuple[str, ...] = ()  # none: a shell
    workspace: str = ""
    environment: str = ""
    size: tuple[int, int] | None = None  # rows and columns of its terminal; None: pipes
    env: Mapping[str, str] = field(default_factory=dict)
    ends_call: str = ""  # cancelled once it has ended, or this process has

    def start(self) -> containers_pb2.ConsoleInput:
        """Return the first message about it."""
        scope = containers_pb2.ContainerScope(
            workspace=self.workspace, environment=self.environment
        )
        start = containers_pb2.ConsoleStart(
            scope=scope,
            container_id=self.container_id,
            command=self.command,
            env=dict(self.env),
            ends_call=self.ends_call,
        )
        if self.size is not None:
            start.terminal.CopyFrom(_size(*self.size))
        return containers_pb2.ConsoleInput(start=start)


class Conversation:
    """One program's. Made inside the event loop of the link."""

    def __init__(self, link: Link) -> None:
        self._stream: Stream[containers_pb2.ConsoleOutput]
        self._stream = link.stream(METHOD, containers_pb2.ConsoleOutput)
        self._saying = asyncio.Lock()  # a stream has one writer
        self._untaken_bytes = 0
        self._taken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, program: Program, person: Person) -> int:
        """Run the program to its end; return its exit code. Raises `RefusedError` and `WireError`."""
        await self._say(program.start())
        typing = asyncio.create_task(self._pass_input(person))
        try:
            async for said in self._stream:
                kind = said.WhichOneof("said")
                if kind == "exit":
                    return said.exit
                if kind == "refused":
                    raise RefusedError(said.refused)
                if kind == "taken":
                    self._untaken_bytes -= said.taken
                    self._taken.set()
                elif kind is not None:
                    is_error = kind == "errors"
                    data = said.errors if is_error else said.output
                    await person.show(data, is_error=is_error)
            raise RefusedError("the server ended the conversation")
        finally:
            typing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await typing
            self._stream.cancel()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the program how large its terminal is now."""
        self._say_soon(containers_pb2.ConsoleInput(terminal=_size(rows, columns)))

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._say_soon(containers_pb2.ConsoleInput(signal=number))

    async def _pass_input(self, person: Person) -> None:
        while data := await person.read():
            while self._untaken_bytes >= INPUT_WINDOW_BYTES:
                self._taken.clear()
                await self._taken.wait()
            self._untaken_bytes += len(data)
            await self._say(containers_pb2.ConsoleInput(input=data))
        await self._say(containers_pb2.ConsoleInput(input_end=True))

    def _say_soon(self, said: containers_pb2.ConsoleInput) -> None:
        task = asyncio.create_task(self._say(said))
        self._tasks.add(task)
        task.add_done_callback(self._said)

    def _said(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the stream's own error says it

    async def _say(self, said: containers_pb2.ConsoleInput) -> None:
        async with self._saying:
            await self._stream.send(said)


def _size(rows: int, columns: int) -> containers_pb2.TerminalSize:
    return containers_pb2.TerminalSize(rows=rows, columns=columns)
