"""What a record belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.ids import split_input_id
from offload.control.ports.records import (
    CloseCall,
    FinishCall,
    SaveHistory,
    SaveInputs,
    SaveItems,
    SaveOutcomeRun,
    SaveOutcomes,
)
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from offload.control.ports.records import Record


def places(record: Record) -> set[tuple[str, int]]:
    """Return the calls and indices that a record names."""
    found: set[tuple[str, int]] = set()
    match record:
        case SaveInputs(call_id=call_id, rows=inputs):
            found = {(call_id, 0), *((call_id, row.index) for row in inputs)}
        case SaveOutcomeRun(call_id=call_id, first=first, count=count):
            found = {(call_id, first), (call_id, first + count - 1)}
        case SaveHistory(call_id=call_id, history=history):
            found = {(call_id, history.index)}
        case CloseCall(call_id=call_id) | FinishCall(call_id=call_id):
            found = {(call_id, 0)}
        case SaveOutcomes(rows=outcomes):
            found = {(row.call_id, row.index) for row in outcomes}
        case SaveItems(rows=items):
            found = {_place(row.input_id) for row in items}
        case _:
            pass
    return found


def require(is_known: bool, record: object) -> None:
    """Raise where what the record belongs to is not known."""
    if not is_known:
        raise StoreError(
            f"A record cannot be kept, it belongs to nothing that was saved: {record!r:.200}"
        )


def _place(input_id: str) -> tuple[str, int]:
    try:
        return split_input_id(input_id)
    except ValueError as error:
        raise StoreError(f"An item cannot be kept: {error}.") from error
