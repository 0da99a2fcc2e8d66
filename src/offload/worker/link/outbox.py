"""What the worker has to say: gathered into batches, numbered, and kept until the server has it on disk."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from offload.wire.gen import workers_pb2
from offload.wire.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

# Beyond the first, containers are not listened to; below the second, they are again. Guesses that fit small machines.
HIGH_BYTES = 32 * 1024 * 1024
LOW_BYTES = 8 * 1024 * 1024

_ENDED = {
    workers_pb2.CONTAINER_STATE_STOPPED,
    workers_pb2.CONTAINER_STATE_FAILED,
    workers_pb2.CONTAINER_STATE_DIED,
}


class _Batch(NamedTuple):
    message: workers_pb2.WorkerMessage
    size_bytes: int


class Outbox:
    """Batches on their way to the server. `wake` is called when there is something new to take."""

    def __init__(self, wake: Callable[[], None], on_congested: Callable[[bool], None]) -> None:
        self._wake = wake
        self._on_congested = on_congested
        self._current = workers_pb2.WorkerMessage()
        self._current_bytes = 0
        self._full: deque[_Batch] = deque()
        self._sent: deque[_Batch] = deque()  # not recorded yet
        self._bytes = 0
        self._seq = 0
        self._is_congested = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be sent or recorded."""
        return not (self._current_bytes or self._full or self._sent)

    @property
    def is_sent(self) -> bool:
        """Whether nothing waits to be sent."""
        return not (self._current_bytes or self._full)

    def gathering(self, size_bytes: int) -> workers_pb2.WorkerMessage:
        """Return the message being gathered; the caller adds about `size_bytes` to it at once."""
        current_bytes = self._current_bytes
        if current_bytes + size_bytes > BATCH_BYTES and current_bytes:
            self._seal()
        elif not current_bytes:
            self._wake()
        self._current_bytes += size_bytes
        self._bytes += size_bytes
        if self._bytes > HIGH_BYTES and not self._is_congested:
            self._is_congested = True
            self._on_congested(True)
        return self._current

    def take(self) -> workers_pb2.WorkerMessage | None:
        """Return the next message to send, numbered, or None when there is nothing to say."""
        if not self._full:
            if not self._current_bytes:
                return None
            self._seal()
        batch = self._full.popleft()
        message = batch.message
        message.seq = self.next_seq()
        if _must_arrive(message):
            self._sent.append(batch)
        else:
            self._shrink(batch.size_bytes)
        return message

    def next_seq(self) -> int:
        """Return the number for the next message."""
        self._seq += 1
        return self._seq

    def recorded(self, seq: int) -> None:
        """Forget what the server has on disk."""
        while self._sent and self._sent[0].message.seq <= seq:
            self._shrink(self._sent.popleft().size_bytes)

    def start_over(self) -> None:
        """Queue again what the server may have lost with the last connection; what Hello says anew is dropped."""
        if self._current_bytes:
            self._seal()
        self._full.extendleft(reversed(self._sent))
        self._sent.clear()
        for batch in self._full:
            message = batch.message
            ended = [report for report in message.containers if report.state in _ENDED]
            message.ClearField("containers")
            message.ClearField("windows")
            message.ClearField("started")
            message.containers.extend(ended)

    def unrecorded(self) -> list[tuple[str, int]]:
        """Return the inputs whose end the server may not know, with their attempts."""
        messages = [batch.message for batch in (*self._sent, *self._full)] + [self._current]
        ends: list[tuple[str, int]] = []
        for message in messages:
            ends.extend((result.input_id, result.attempt) for result in message.results)
            ends.extend((entry.input_id, entry.attempt) for entry in message.returned)
        return ends

    def _seal(self) -> None:
        self._full.append(_Batch(self._current, self._current_bytes))
        self._current = workers_pb2.WorkerMessage()
        self._current_bytes = 0

    def _shrink(self, size_bytes: int) -> None:
        self._bytes -= size_bytes
        if self._is_congested and self._bytes < LOW_BYTES:
            self._is_congested = False
            self._on_congested(False)


def _must_arrive(message: workers_pb2.WorkerMessage) -> bool:
    return bool(
        message.results or message.items or message.returned or message.logs or message.containers
    )
