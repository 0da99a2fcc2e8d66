"""Work that is one exchange: what waits for its reply, and when it becomes a coroutine all the same."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from offload.sdk.blocking import ExchangeWork

if TYPE_CHECKING:
    from collections.abc import Callable


class Script:
    """An exchange that goes as told: `reply` comes at once; without one, nothing can be sent."""

    def __init__(self, reply: str | None, *, is_readable: bool = True) -> None:
        self.reply = reply
        self.is_readable = is_readable
        self.done_in_full: list[str | None] = []
        self.gave_up = threading.Event()

    def send(self, tell: Callable[[str], None]) -> Callable[[], None] | None:
        if self.reply is None:
            return None
        tell(self.reply)
        return self.gave_up.set

    def read(self, reply: str) -> str | None:
        return f"read {reply}" if self.is_readable else None

    async def in_full(self, reply: str | None) -> str:
        self.done_in_full.append(reply)
        return "in full"


def _same(value: str) -> str:
    return value


def test_a_reply_that_can_be_read_needs_no_coroutine() -> None:
    script = Script("yes")

    result = ExchangeWork(script, _same).wait()

    assert result == "read yes"
    assert script.done_in_full == []


def test_what_cannot_be_sent_at_once_is_done_in_full() -> None:
    script = Script(None)

    result = ExchangeWork(script, _same).wait()

    assert result == "in full"
    assert script.done_in_full == [None]


def test_a_reply_that_takes_more_than_reading_is_handed_on() -> None:
    script = Script("blob", is_readable=False)

    result = ExchangeWork(script, _same).wait()

    assert result == "in full"
    assert script.done_in_full == ["blob"]


def test_an_async_caller_gets_the_coroutine() -> None:
    script = Script("yes")

    result = asyncio.run(ExchangeWork(script, _same).start())

    assert result == "in full"


def test_an_interrupted_wait_gives_the_exchange_up() -> None:
    class Silent(Script):
        def send(self, tell: Callable[[str], None]) -> Callable[[], None] | None:
            nagging.start()
            return self.gave_up.set

    script = Silent("never")

    def nag() -> None:
        # A signal that comes just before the lock is waited for does not wake it.
        while not script.gave_up.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        raise KeyboardInterrupt

    nagging = threading.Thread(target=nag)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            ExchangeWork(script, _same).wait()
        nagging.join(10)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert script.gave_up.is_set()
