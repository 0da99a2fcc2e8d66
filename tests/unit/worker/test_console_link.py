"""The worker's part in a person's program: a scripted request on one side, a scripted console on the other."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

from offload.wire.gen import containers_pb2
from offload.wire.guest import console
from offload.wire.status import Status, WireError
from offload.worker.link import ConsoleLink
from offload.worker.ports import ConsoleRefusedError, OpenedConsole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

Input, Output = containers_pb2.ConsoleInput, containers_pb2.ConsoleOutput


class Request:
    """What the worker opens to the server: `hears` is what the server says, None its end."""

    def __init__(self) -> None:
        self.hears: asyncio.Queue[Input | None] = asyncio.Queue()
        self.said: list[containers_pb2.ConsoleAnswer] = []
        self.was_said = asyncio.Event()
        self.is_over = asyncio.Event()

    async def send(self, message: Message) -> None:
        assert isinstance(message, containers_pb2.ConsoleAnswer)
        if self.is_over.is_set():
            raise WireError(Status.CANCELLED, "it is over")
        self.said.append(message)
        self.was_said.set()

    async def receive(self) -> Input | None:
        return await self.hears.get()

    def cancel(self) -> None:
        self.is_over.set()

    def stream(self, method: str, _reply: type[Message]) -> Request:
        assert method == "offload.v1.Containers/Console"
        return self

    async def welcoming_link(self) -> Request:
        return self

    async def outputs(self, is_enough: Callable[[list[Output]], bool]) -> list[Output]:
        """Return what was said, once that is enough."""
        while not is_enough(said := [answer.output for answer in self.said[1:]]):
            self.was_said.clear()
            await self.was_said.wait()
        return said


class Containers:
    """One container, whose console is the test's."""

    def __init__(self, refusal: str = "") -> None:
        self._refusal = refusal
        self.console, self._theirs = socket.socketpair()
        self.console.setblocking(False)
        self._theirs.setblocking(False)

    async def open_console(self, container_id: str) -> OpenedConsole:
        assert container_id == "ct-1"
        if self._refusal:
            raise ConsoleRefusedError(self._refusal)
        return OpenedConsole(self._theirs, {"TOKEN": "t", "TERM": "own"}, "/work")

    async def heard(self, count: int) -> list[tuple[int, bytes]]:
        """Return so many frames that the console was told."""
        frames = console.Frames()
        found: list[tuple[int, bytes]] = []
        while len(found) < count:
            data = await asyncio.get_running_loop().sock_recv(self.console, 65536)
            assert data
            found += frames.feed(data)
        return found

    def close(self) -> None:
        self.console.close()
        self._theirs.close()


def start(**fields: object) -> Input:
    begin = containers_pb2.ConsoleStart(container_id="ct-1", **fields)  # type: ignore[arg-type]
    return Input(start=begin)


def play(
    scenario: Callable[[Request, Containers], Awaitable[None]], containers: Containers | None = None
) -> Request:
    """Open a session and run the scenario with both its sides."""
    request = Request()

    async def run() -> None:
        there = containers or Containers()
        link = ConsoleLink(request, there)  # type: ignore[arg-type]  # as much of a link as is used
        try:
            link.open("cs-1", "ct-1")
            async with asyncio.timeout(60):
                await scenario(request, there)
        finally:
            await link.close()
            there.close()

    asyncio.run(run())
    return request


def has_end(said: list[Output]) -> bool:
    return any(each.WhichOneof("said") in {"exit", "refused"} for each in said)


def test_a_program_is_started_with_what_the_container_says_and_its_words_are_passed_on() -> None:
    async def scenario(request: Request, containers: Containers) -> None:
        size = containers_pb2.TerminalSize(rows=3, columns=4)
        request.hears.put_nowait(start(command=["ls"], terminal=size, env={"TERM": "x", "A": "b"}))
        request.hears.put_nowait(Input(input=b"keys"))
        request.hears.put_nowait(Input(terminal=size))
        request.hears.put_nowait(Input(signal=15))
        request.hears.put_nowait(Input(input_end=True))

        (first, order), *rest = await containers.heard(5)
        containers.console.send(
            console.pack(console.OUTPUT, b"seen") + console.pack(console.EXIT, b"\x07")
        )
        said = await request.outputs(has_end)

        assert request.said[0].session_id == "cs-1"
        assert first == console.START
        assert json.loads(order) == {
            "argv": ["ls"],
            "cwd": "/work",
            "env": {"A": "b", "TERM": "own", "TOKEN": "t"},
            "size": [3, 4],
        }
        assert rest == [
            (console.INPUT, b"keys"),
            (console.SIZE, console.pack_size(3, 4)),
            (console.SIGNAL, b"\x0f"),
            (console.INPUT_END, b""),
        ]
        assert said == [Output(taken=4), Output(output=b"seen"), Output(exit=7)]
        request.hears.put_nowait(None)

    play(scenario)


def test_a_person_who_goes_is_noticed_while_the_program_reads_nothing() -> None:
    async def scenario(request: Request, containers: Containers) -> None:
        request.hears.put_nowait(start())
        for _ in range(console.INPUT_WINDOW_BYTES // console.PIECE_BYTES):
            request.hears.put_nowait(Input(input=b"x" * console.PIECE_BYTES))
        request.hears.put_nowait(None)

        await request.is_over.wait()

        loop = asyncio.get_running_loop()
        while await loop.sock_recv(containers.console, 65536):
            pass  # to the end, which is there

    play(scenario)


def test_who_sends_more_than_is_taken_is_cut_off() -> None:
    async def scenario(request: Request, _containers: Containers) -> None:
        request.hears.put_nowait(start())
        for _ in range(4 * console.INPUT_WINDOW_BYTES // console.PIECE_BYTES):
            request.hears.put_nowait(Input(input=b"x" * console.PIECE_BYTES))

        await request.is_over.wait()

    play(scenario)


def test_what_is_no_console_is_said_to_be_none() -> None:
    hostile = (
        b"\xff" * 64,
        console.pack(console.OUTPUT, b"x" * (console.PIECE_BYTES + 1)),
        console.pack(console.EXIT, b""),
        console.pack(99, b"?"),
    )
    for frame in hostile:

        async def scenario(request: Request, containers: Containers, frame: bytes = frame) -> None:
            request.hears.put_nowait(start())
            await containers.heard(1)

            await asyncio.get_running_loop().sock_sendall(containers.console, frame)

            said = await request.outputs(has_end)
            assert "no console" in said[-1].refused
            request.hears.put_nowait(None)

        play(scenario)


def test_the_end_of_the_container_and_a_refusal_are_said_in_words() -> None:
    async def ends(request: Request, containers: Containers) -> None:
        request.hears.put_nowait(start())
        await containers.heard(1)
        containers.console.shutdown(socket.SHUT_RDWR)
        assert "ended" in (await request.outputs(has_end))[-1].refused
        request.hears.put_nowait(None)

    async def refuses(request: Request, _containers: Containers) -> None:
        request.hears.put_nowait(start())
        assert (await request.outputs(has_end))[-1].refused == "not here"
        request.hears.put_nowait(None)

    play(ends)
    play(refuses, Containers("not here"))
