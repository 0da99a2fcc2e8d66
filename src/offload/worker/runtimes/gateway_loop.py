"""How a gateway waits, and how it does what only a thread in the machine's own network can do."""

from __future__ import annotations

import queue
import select
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Outside:
    """A thread in the machine's own network."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Callable[[], object], queue.SimpleQueue[object]]]
        self._orders = queue.SimpleQueue()
        threading.Thread(target=self._obey, daemon=True).start()

    def call(self, action: Callable[[], _T]) -> _T:
        """Do something there and return what it returns. Raises what it raises."""
        results: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._orders.put((action, results))
        result = results.get()
        if isinstance(result, BaseException):
            raise result
        return result  # type: ignore[return-value]  # what `action` returned

    def _obey(self) -> None:
        while True:
            action, results = self._orders.get()
            try:
                results.put(action())
            except BaseException as error:  # noqa: BLE001 - raised by `call`
                results.put(error)


class Loop:
    """Calls whoever waits for a descriptor."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._watched: dict[int, Callable[[], None]] = {}
        self._late: dict[int, tuple[float, Callable[[], None]]] = {}

    @property
    def is_timed(self) -> bool:
        """Whether somebody waits for a limited time."""
        return bool(self._late)

    def watch(
        self,
        fd: int,
        call: Callable[[], None],
        when_late: Callable[[], None] | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Call whenever the descriptor can be read or has ended, until it is forgotten; once where that takes too long."""
        self._watched[fd] = call
        if when_late is not None:
            self._late[fd] = (time.monotonic() + seconds, when_late)
        self._poll.register(fd, select.POLLIN)

    def watch_writable(self, fd: int, call: Callable[[], None]) -> None:
        """Call whenever the descriptor can be written or has ended, until it is watched otherwise or forgotten."""
        self._watched[fd] = call
        self._poll.register(fd, select.POLLOUT)

    def forget(self, fd: int) -> None:
        """Watch a descriptor no more."""
        self._late.pop(fd, None)
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def turn(self, timeout_milliseconds: int | None) -> bool:
        """Wait and call; tell whether anything happened."""
        ready = self._poll.poll(timeout_milliseconds)
        for fd, _ in ready:
            call = self._watched.get(fd)
            if call is not None:
                call()
        now = time.monotonic()
        for _, when_late in [late for late in self._late.values() if late[0] <= now]:
            when_late()
        return bool(ready)
