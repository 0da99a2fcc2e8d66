"""Between the messages of the schema and the values of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from offload.control.core.inputs import InputState
from offload.control.core.model import CallKind, ContainerState, FailureKind
from offload.wire.gen import calls_pb2, common_pb2, workers_pb2
from offload.wire.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from offload.control.services.views import LogRow, OutcomeRow

T = TypeVar("T")

STATE_TO_WIRE = {
    state: cast("common_pb2.InputState", common_pb2.InputState.Value(f"INPUT_STATE_{state.name}"))
    for state in InputState
}
STATE_OF: dict[int, InputState] = {int(number): state for state, number in STATE_TO_WIRE.items()}

FAILURE_TO_WIRE = {
    kind: cast("common_pb2.FailureKind", common_pb2.FailureKind.Value(f"FAILURE_KIND_{kind.name}"))
    for kind in FailureKind
}
FAILURE_OF: dict[int, FailureKind] = {int(number): kind for kind, number in FAILURE_TO_WIRE.items()}

KIND_TO_WIRE = {
    kind: cast("calls_pb2.CallKind", calls_pb2.CallKind.Value(f"CALL_KIND_{kind.name}"))
    for kind in CallKind
}
KIND_OF: dict[int, CallKind] = {int(number): kind for kind, number in KIND_TO_WIRE.items()}

CONTAINER_STATE_OF: dict[int, ContainerState] = {
    int(workers_pb2.CONTAINER_STATE_STARTING): ContainerState.STARTING,
    int(workers_pb2.CONTAINER_STATE_READY): ContainerState.READY,
    int(workers_pb2.CONTAINER_STATE_STOPPING): ContainerState.STOPPING,
    int(workers_pb2.CONTAINER_STATE_STOPPED): ContainerState.STOPPED,
    int(workers_pb2.CONTAINER_STATE_FAILED): ContainerState.FAILED,
    int(workers_pb2.CONTAINER_STATE_DIED): ContainerState.DIED,
}


def outcome_message(row: OutcomeRow) -> common_pb2.Outcome:
    """Return the outcome as its worker sent it, or made from what the server decided itself."""
    outcome = common_pb2.Outcome.FromString(row.body) if row.body else common_pb2.Outcome()
    if outcome.state != STATE_TO_WIRE[row.state]:
        outcome.state = STATE_TO_WIRE[row.state]
    if row.state is not InputState.SUCCEEDED and not outcome.HasField("failure"):
        kind = FAILURE_TO_WIRE.get(row.failure) if row.failure is not None else None
        if kind is not None:
            outcome.failure.kind = kind
        outcome.failure.reason = row.reason
    return outcome


def log_message(row: LogRow) -> common_pb2.LogLine:
    """Return a line of output."""
    return common_pb2.LogLine(
        at=row.at,
        app_id=row.app_id,
        call_id=row.call_id,
        input_id=row.input_id,
        container_id=row.container_id,
        stream=row.stream,
        text=row.text,
        seq=row.seq,
        function_name=row.function_name,
    )


def by_size(rows: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut rows into lists that make messages far below the maximum."""
    part: list[T] = []
    size = 0
    for row in rows:
        row_size = size_of(row)
        if part and size + row_size > BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += row_size
    if part:
        yield part
