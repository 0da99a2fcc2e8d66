"""What a record belongs to, and whether that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from offload.control.core.ids import MAX_INPUTS_PER_CALL, split_input_id
from offload.control.ports.records import (
    CloseCall,
    FinishCall,
    SaveApp,
    SaveCall,
    SaveDeployment,
    SaveFunction,
    SaveHistory,
    SaveInputs,
    SaveItems,
    SaveOutcomeRun,
    SaveOutcomes,
    SaveScaling,
)
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

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


class Known(NamedTuple):
    """The ids of what is kept."""

    apps: Container[str]
    functions: Container[str]
    calls: Container[str]


def check(records: Sequence[Record], known: Known) -> None:
    """Raise before anything changes, where a record names what is not there."""
    saved: set[str] = set()
    for record in records:
        match record:
            case SaveApp(app_id=app_id):
                saved.add(app_id)
            case SaveFunction(function=function):
                require(function.app_id in saved or function.app_id in known.apps, function)
                saved.add(function.function_id)
            case SaveScaling(function_id=function_id):
                require(function_id in saved or function_id in known.functions, record)
            case SaveCall(call=call):
                is_known = call.function_id in saved or call.function_id in known.functions
                require(is_known, call)
                saved.add(call.call_id)
            case SaveDeployment(deployment=deployment):
                for version in deployment.versions:
                    require(version.app_id in saved or version.app_id in known.apps, record)
            case _:
                for call_id, index in places(record):
                    is_known = call_id in saved or call_id in known.calls
                    require(is_known and index < MAX_INPUTS_PER_CALL, record)


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
