"""A container that asks the platform for more than it may: another's identity, the worker's methods, everything at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from offload.wire import guest
from offload.wire.guest import asks
from offload.wire.inside import ALLOWED, STREAMED, UPLOAD
from offload.wire.services import METHODS
from offload.wire.status import LinkClosedError, Status
from offload.worker.asking import (
    MAX_ASKS,
    MAX_PIECE_BYTES,
    MAX_REQUEST_BYTES,
    MAX_UNREAD_BYTES,
    UPLOAD_WINDOW,
    Asks,
)
from offload.worker.ports import Caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WHO = Caller("ct-1", "fu-1", "work", is_restricted=False)
OPEN = "offload.v1.Objects/Open"
OUTCOMES = "offload.v1.Calls/Outcomes"


class FakePlatform:
    """Answers when told to, and notes who asked what."""

    def __init__(self) -> None:
        self.asked: list[tuple[Caller, str, bytes]] = []
        self.answers = asyncio.Event()
        self.is_lost = False
        self.yielded = 0
        self.uploaded = b""
        self.cancelled = 0

    async def ask(self, caller, method, request):
        self.asked.append((caller, method, request))
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.is_lost:
            raise LinkClosedError("gone")
        return b"re:" + request

    async def follow(self, caller, method, request):
        self.asked.append((caller, method, request))
        while True:
            self.yielded += 1
            yield b"%d" % self.yielded

    async def upload(self, pieces):
        async for piece in pieces:
            self.uploaded += piece
            await self.answers.wait()
        return b"stored"


class Desk:
    """The requests of one container, and what it was sent."""

    def __init__(self, caller: Caller = WHO) -> None:
        self.platform = FakePlatform()
        self.sent: list[asks.Answer | asks.Credit] = []
        self.unread_bytes = 0
        self.killed = ""
        self.asks = Asks(
            caller, self.platform, self.sent.append, lambda: self.unread_bytes, self._kill
        )

    def _kill(self, reason: str) -> None:
        self.killed = reason

    def ask(self, number: int, method: str = OPEN, data: bytes = b"") -> None:
        assert self.asks.hear(asks.Ask(number, method, data, method == UPLOAD))

    @property
    def last(self) -> tuple[int, str]:
        return self.sent[-1].status, self.sent[-1].data.decode()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def play(scenario: Callable[[Desk], Awaitable[None]], caller: Caller = WHO) -> None:
    async def run() -> None:
        desk = Desk(caller)
        await scenario(desk)
        desk.asks.close()
        await settle()

    asyncio.run(run())


def test_a_request_goes_out_with_the_identity_that_the_worker_gives_it():
    async def scenario(desk: Desk) -> None:
        desk.platform.answers.set()

        desk.ask(7, data=b"x")
        await settle()

        assert desk.platform.asked == [(WHO, OPEN, b"x")]
        assert desk.sent == [asks.Answer(7, 0, True, b"re:x")]

    play(scenario)


@pytest.mark.parametrize("method", [*sorted(METHODS.keys() - ALLOWED), "Nonsense", ""])
def test_what_is_not_on_the_list_is_refused_before_it_leaves_the_worker(method):
    async def scenario(desk: Desk) -> None:
        desk.ask(1, method)
        await settle()

        assert desk.platform.asked == []
        assert desk.last[0] == Status.PERMISSION_DENIED

    play(scenario)


def test_the_list_names_methods_that_there_are_and_how_they_stream():
    assert METHODS.keys() >= ALLOWED
    assert {name for name in ALLOWED if METHODS[name].server_streams} == STREAMED
    # What a commit is made of comes in one message from inside.
    streaming = {name for name in ALLOWED if METHODS[name].client_streams}
    assert streaming == {UPLOAD, "offload.v1.Volumes/Commit"}
    assert not [name for name in ALLOWED if "Workers/" in name or "Cluster/" in name]


def test_a_restricted_container_is_refused_everything():
    async def scenario(desk: Desk) -> None:
        for number, method in enumerate(sorted(ALLOWED)):
            desk.ask(number, method)
            assert desk.last[0] == Status.PERMISSION_DENIED

        assert "restrict_platform_access=True" in desk.last[1]

    play(scenario, WHO.__class__("ct-1", "fu-1", "work", is_restricted=True))


def test_more_requests_than_fit_are_refused_and_make_room_when_they_end():
    async def scenario(desk: Desk) -> None:
        for number in range(MAX_ASKS + 1):
            desk.ask(number)
        await settle()

        refused = [answer for answer in desk.sent if answer.status == Status.RESOURCE_EXHAUSTED]
        assert [answer.number for answer in refused] == [MAX_ASKS]
        desk.asks.hear(asks.GiveUp(0))
        await settle()
        desk.ask(MAX_ASKS + 1)
        await settle()
        assert len(desk.platform.asked) == MAX_ASKS + 1

    play(scenario)


def test_more_bytes_than_fit_are_refused():
    async def scenario(desk: Desk) -> None:
        piece = bytes(MAX_REQUEST_BYTES // 8)
        for number in range(9):
            desk.ask(number, data=piece)

        assert desk.sent[-1].number == 8
        assert desk.last[0] == Status.RESOURCE_EXHAUSTED

    play(scenario)


def test_a_number_that_is_in_use_ends_the_container():
    async def scenario(desk: Desk) -> None:
        desk.ask(1)

        with pytest.raises(guest.GuestProtocolError, match="twice"):
            desk.ask(1)

    play(scenario)


def test_a_stream_that_nobody_reads_stops_after_its_credit():
    async def scenario(desk: Desk) -> None:
        desk.ask(1, OUTCOMES)
        await settle()
        desk.asks.hear(asks.Credit(1, 3))
        await settle()

        assert desk.platform.yielded == 4
        assert len(desk.sent) == 4

    play(scenario)


def test_a_container_that_does_not_read_its_answers_is_ended():
    async def scenario(desk: Desk) -> None:
        desk.platform.answers.set()
        desk.unread_bytes = MAX_UNREAD_BYTES + 1

        desk.ask(1)
        await settle()

        assert "more than it reads" in desk.killed
        assert desk.sent == []

    play(scenario)


def test_an_upload_beyond_its_window_ends_the_container():
    async def scenario(desk: Desk) -> None:
        desk.ask(1, UPLOAD)
        await settle()

        for _ in range(UPLOAD_WINDOW + 1):
            desk.asks.hear(asks.AskMore(1, b"x", False))

        assert desk.sent[0] == asks.Credit(1, UPLOAD_WINDOW)
        with pytest.raises(guest.GuestProtocolError, match="more than it may"):
            desk.asks.hear(asks.AskMore(1, b"x", False))

    play(scenario)


def test_a_piece_of_an_upload_is_bounded():
    async def scenario(desk: Desk) -> None:
        desk.ask(1, UPLOAD)

        with pytest.raises(guest.GuestProtocolError, match="more than it may"):
            desk.asks.hear(asks.AskMore(1, bytes(MAX_PIECE_BYTES + 1), False))

    play(scenario)


def test_an_upload_is_passed_on_piece_by_piece():
    async def scenario(desk: Desk) -> None:
        desk.platform.answers.set()
        desk.ask(1, UPLOAD)
        for piece in (b"ab", b"c"):
            desk.asks.hear(asks.AskMore(1, piece, False))
        desk.asks.hear(asks.AskMore(1, b"", True))
        await settle()

        assert desk.platform.uploaded == b"abc"
        assert desk.last == (0, "stored")

    play(scenario)


def test_a_lost_link_is_told_as_such_so_that_it_asks_again():
    async def scenario(desk: Desk) -> None:
        desk.platform.is_lost = True
        desk.platform.answers.set()

        desk.ask(1)
        await settle()

        assert desk.last[0] == asks.LOST

    play(scenario)


def test_what_a_container_waits_for_ends_with_it():
    async def scenario(desk: Desk) -> None:
        for number in range(5):
            desk.ask(number)
        await settle()

        desk.asks.close()
        await settle()

        assert desk.platform.cancelled == 5

    play(scenario)
