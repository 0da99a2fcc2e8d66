"""What user code asks of the platform, through the container's own socket.

Answers are handed to whoever asked by the thread that reads the socket, so what they are told must not wait.
"""

from __future__ import annotations

from _thread import allocate_lock

from offload.wire.guest import asks

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable, Protocol

    from offload.runner.cancellation import Interruptor
    from offload.runner.outbox import Outbox

    class Tell(Protocol):
        """Takes each answer to a request: its status, whether it is the last, and its bytes."""

        def __call__(self, answer: asks.Answer | asks.Credit) -> None:
            """Take one."""


class Platform:
    """The runner's side of every request. Any thread may ask."""

    def __init__(
        self,
        outbox: Outbox,
        interrupts: Callable[[], Interruptor],
        expect_answers: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._interrupts = interrupts
        self._expect_answers = expect_answers
        self._lock = allocate_lock()
        self._number = 0
        self._asked: dict[int, Tell] = {}

    def ask(self, method: str, data: bytes, tell: Tell, *, is_open: bool = False) -> int:
        """Send a request; have `tell` called with what comes of it. Returns its number."""
        if self._outbox.is_child:
            raise RuntimeError(
                "a process that was forked inside a container cannot ask the platform: use threads, or ask before"
            )
        # An interrupt between a request and its entry would leave an answer to nobody.
        with self._interrupts():
            with self._lock:
                self._number += 1
                number = self._number
            self._asked[number] = tell
            self._send(asks.Ask(number, method, data, is_open))
            self._expect_answers()
        return number

    def send_more(self, number: int, data: bytes, *, last: bool) -> None:
        """Send the next message of an open request, for which there must be credit."""
        self._send(asks.AskMore(number, data, last))

    def grant(self, number: int, messages: int) -> None:
        """Make room for more answers of a request that has many."""
        self._send(asks.Credit(number, messages))

    def give_up(self, number: int) -> None:
        """Wait no more for an answer. Idempotent."""
        if self._asked.pop(number, None) is not None:
            self._send(asks.GiveUp(number))

    def take(self, message: object) -> bool:
        """Hand on what the worker said; False where that is no answer. For the thread that reads."""
        if not isinstance(message, (asks.Answer, asks.Credit)):
            return False
        tell = self._asked.get(message.number)
        if isinstance(message, asks.Answer) and message.last:
            self._asked.pop(message.number, None)
        if tell is not None:  # else given up meanwhile
            tell(message)
        return True

    def _send(self, message: asks.Ask | asks.AskMore | asks.Credit | asks.GiveUp) -> None:
        with self._interrupts():
            self._outbox.add(message, 64, wake=False)
            self._outbox.flush()
