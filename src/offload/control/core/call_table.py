"""The unfinished calls by their id, most of a long line at rest.

A call of one input that nobody has touched is told by four small values. In a long line such calls *rest*: they have no
record until their turn comes or somebody asks for them, so that a million of them cost a quarter of what records would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from offload.control.core.calls import CallRecord
from offload.control.core.model import Call, CallKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from offload.control.core.records import Pool

ONE_INPUT = (range(1),)

# (function id, created_at, priority, number). A bare tuple of plain values: the garbage collector does not walk those.
Resting: TypeAlias = tuple[str, float, int, int]


class CallTable:
    """Calls with a record, and resting ones. What looks a call up to change it gets a record."""

    def __init__(self, pools: Mapping[str, Pool], ageing_seconds: float) -> None:
        self._pools = pools
        self._ageing_seconds = ageing_seconds
        self._records: dict[str, CallRecord] = {}
        self._resting: dict[str, Resting] = {}

    def __len__(self) -> int:
        return len(self._records) + len(self._resting)

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._records or call_id in self._resting

    def get(self, call_id: str) -> CallRecord | None:
        """Return the call's record, made now where it rests."""
        record = self._records.get(call_id)
        if record is None and call_id in self._resting:
            record = self.wake(call_id)
        return record

    def peek(self, call_id: str) -> CallRecord | None:
        """Return a record to look at only: a resting call goes on resting."""
        record = self._records.get(call_id)
        if record is not None:
            return record
        resting = self._resting.get(call_id)
        return self._record(call_id, resting) if resting is not None else None

    def of_app(self, app_id: str) -> list[CallRecord]:
        """Return the records of all calls of an app."""
        mine = [one for one in self._records.values() if one.pool.function.app_id == app_id]
        asleep = [
            call_id
            for call_id, resting in self._resting.items()
            if self._pools[resting[0]].function.app_id == app_id
        ]
        return mine + [self.wake(call_id) for call_id in asleep]

    def order(self, created_at: float, priority: int) -> float:
        """Return when a call is served: the earlier, the sooner."""
        return created_at - priority * self._ageing_seconds if priority else created_at

    def add(self, record: CallRecord) -> None:
        """Remember a call."""
        self._records[record.call.call_id] = record

    def remove(self, call_id: str) -> None:
        """Forget a call that has a record."""
        del self._records[call_id]

    def rest(self, call: Call, pool: Pool, number: int) -> None:
        """Remember a call of one input, last in its function's line, without a record."""
        function_id = pool.function.function_id
        self._resting[call.call_id] = (function_id, call.created_at, call.priority, number)
        pool.queue.rest(call.call_id, self.order(call.created_at, call.priority))

    def is_resting(self, call_id: str) -> bool:
        """Whether the call has no record."""
        return call_id in self._resting

    def place(self, call_id: str) -> tuple[float, int] | None:
        """Return where in its line a resting call is; None for any other."""
        resting = self._resting.get(call_id)
        if resting is None:
            return None
        _, created_at, priority, number = resting
        return self.order(created_at, priority), number

    def wake(self, call_id: str) -> CallRecord:
        """Give a resting call a record, with the same place in its line."""
        record = self._record(call_id, self._resting.pop(call_id))
        self._records[call_id] = record
        record.pool.queue.wake(record)
        return record

    def all(self) -> Iterator[CallRecord]:
        """Iterate over records of all calls, to look at only."""
        yield from self._records.values()
        for call_id, resting in self._resting.items():
            yield self._record(call_id, resting)

    def _record(self, call_id: str, resting: Resting) -> CallRecord:
        function_id, created_at, priority, number = resting
        call = Call(call_id, function_id, CallKind.SINGLE, created_at, False, True, priority)
        order = self.order(created_at, priority)
        record = CallRecord(call, self._pools[function_id], order, number)
        record.closed = True
        record.known.add(0, 1)
        record.waiting.add(0, 1)
        return record


def is_plain(call: Call, inputs: tuple[range, ...], *, closed: bool) -> bool:
    """Whether all that can be told of an untouched call is told by a `Resting`."""
    return (
        call.kind is CallKind.SINGLE
        and closed
        and inputs == ONE_INPUT
        and call.durable
        and not call.attached
        and not call.deadline
        and not call.not_before
        and not call.after
    )
