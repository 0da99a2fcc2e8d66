"""The person's side of a program in a container, against a scripted server."""

from __future__ import annotations

import asyncio

import pytest

from offload.sdk.client.consoles import Conversation, Program, RefusedError
from offload.wire.gen import containers_pb2
from offload.wire.guest.console import INPUT_WINDOW_BYTES, PIECE_BYTES

Output = containers_pb2.ConsoleOutput


class Server:
    """A link and its one stream: what was said to it, and what it says."""

    def __init__(self) -> None:
        self.told: list[containers_pb2.ConsoleInput] = []
        self.was_told = asyncio.Event()
        self.says: asyncio.Queue[Output | None] = asyncio.Queue()

    def stream(self, method, _reply):
        assert method == "offload.v1.Containers/Exec"
        return self

    async def send(self, message):
        self.told.append(message)
        self.was_told.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        said = await self.says.get()
        if said is None:
            raise StopAsyncIteration
        return said

    def cancel(self):
        """Nothing more is said."""

    async def input_bytes(self, least):
        """Return how much was typed, once it is so much."""
        while (size := sum(len(each.input) for each in self.told)) < least:
            self.was_told.clear()
            await self.was_told.wait()
        return size


class Person:
    """Types what it was given, and keeps what it is shown."""

    def __init__(self, pieces):
        self._pieces = list(pieces)
        self.shown = []

    async def read(self):
        return self._pieces.pop(0) if self._pieces else b""

    async def show(self, data, *, is_error):
        self.shown.append((data, is_error))


def test_what_is_typed_waits_until_the_container_has_taken_what_came_before():
    async def scenario():
        server = Server()
        pieces = 3 * INPUT_WINDOW_BYTES // PIECE_BYTES
        person = Person([b"x" * PIECE_BYTES] * pieces)
        running = asyncio.ensure_future(Conversation(server).run(Program("ct-1"), person))

        first = await server.input_bytes(INPUT_WINDOW_BYTES)
        for _ in range(100):
            await asyncio.sleep(0)
        still = await server.input_bytes(0)
        for _ in range(pieces):
            server.says.put_nowait(Output(taken=PIECE_BYTES))
        rest = await server.input_bytes(3 * INPUT_WINDOW_BYTES)
        server.says.put_nowait(Output(exit=4))

        return first, still, rest, await running

    async def within_patience():
        async with asyncio.timeout(60):
            return await scenario()

    assert asyncio.run(within_patience()) == (
        INPUT_WINDOW_BYTES, INPUT_WINDOW_BYTES, 3 * INPUT_WINDOW_BYTES, 4,
    )  # fmt: skip


def test_a_person_is_shown_both_streams_and_told_in_words_why_there_is_no_program():
    async def scenario():
        server, person = Server(), Person([])
        for said in (Output(output=b"out"), Output(errors=b"err"), Output(refused="it has ended")):
            server.says.put_nowait(said)

        with pytest.raises(RefusedError, match="it has ended"):
            await Conversation(server).run(Program("ct-1"), person)

        return person.shown

    assert asyncio.run(scenario()) == [(b"out", False), (b"err", True)]
