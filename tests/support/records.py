"""Records of the store port with everything that a test does not care about filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.events import History
from offload.control.core.ids import input_id
from offload.control.core.inputs import InputState
from offload.control.core.model import (
    Call,
    CallKind,
    FailureKind,
    Function,
    Needs,
    RetryPolicy,
    Scaling,
)
from offload.control.ports.records import (
    InputRow,
    ItemRow,
    LogRow,
    OutcomeRow,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveHistory,
    SaveInputs,
    SaveOutcomeRun,
    SaveOutcomes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.ports.records import Record


def function(function_id: str = "fu-1", app_id: str = "ap-1", app_name: str = "demo") -> Function:
    """Return a function whose fields are all different, so that none can stand in for another."""
    return Function(
        function_id=function_id,
        app_id=app_id,
        app_name=app_name,
        name=f"name of {function_id}",
        needs=Needs(
            cpu_milli=1500,
            memory_mib=257,
            gpus=2,
            gpu_kind="H100",
            runtime="bubblewrap",
            host_id="host-1",
            labels=(("room", "12"), ("arch", "x86")),
            disk_mib=56,
            abilities=("cpu_limit", "ephemeral_disk"),
        ),
        timeout_seconds=301.5,
        startup_timeout_seconds=61.5,
        retries=RetryPolicy(3, 1.5, 2.5, 62.5),
        scaling=Scaling(1, 7, 4, 63.5),
        is_generator=True,
        workspace="team",
        max_inputs=12,
        target_inputs=8,
        body=b"\x00definition\xff",
        blob=f"code of {function_id}",
    )


def call(call_id: str = "fc-A", function_id: str = "fu-1", created_at: float = 10.0) -> Call:
    """Return a call of the function."""
    return Call(
        call_id,
        function_id,
        CallKind.MAP,
        created_at,
        attached=True,
        durable=False,
        priority=-2,
        deadline=99.5,
        run_anyway=True,
    )


def saved_app(app_id: str = "ap-1", name: str = "demo") -> SaveApp:
    """Return an app of the workspace that the functions are of."""
    return SaveApp(app_id, name, 1.0, "team")


def app_with_call(call_id: str = "fc-A") -> list[Record]:
    """Return what has to be there before a call's inputs."""
    return [saved_app(), SaveFunction(function()), SaveCall(call(call_id))]


def inputs(indices: Iterable[int], call_id: str = "fc-A") -> SaveInputs:
    """Return inputs whose payload says which one it is."""
    rows = (InputRow(input_id(call_id, i), i, f"payload {i}".encode()) for i in indices)
    return SaveInputs(call_id, tuple(rows))


def outcome(
    index: int, seq: int, call_id: str = "fc-A", state: InputState = InputState.SUCCEEDED
) -> OutcomeRow:
    """Return an outcome."""
    failure = None if state is InputState.SUCCEEDED else FailureKind.EXCEPTION
    reason = "" if failure is None else "ValueError: no"
    body = f"body {index} {state}".encode()
    return OutcomeRow(
        input_id(call_id, index), call_id, index, seq, 2, state, failure, reason, body, 20.0 + seq
    )


def run(
    first: int, count: int, first_seq: int, call_id: str = "fc-A", at: float = 21.0
) -> SaveOutcomeRun:
    """Return cancelled inputs."""
    return SaveOutcomeRun(
        call_id,
        first,
        count,
        first_seq,
        InputState.CANCELLED,
        FailureKind.CANCELLED,
        "cancelled by its caller",
        b"body of the run",
        at,
    )


def history(index: int, attempts: int = 3, call_id: str = "fc-A") -> SaveHistory:
    """Return a history whose fields are all different."""
    return SaveHistory(call_id, History(index, attempts, 4, 5, 6, alone=True, retry_at=7.5))


def outcomes(*rows: OutcomeRow) -> SaveOutcomes:
    """Return one record of these outcomes."""
    return SaveOutcomes(rows)


def item(seq: int, wanted: str = "in-A-0") -> ItemRow:
    """Return an item whose payload says which one it is."""
    return ItemRow(wanted, seq, f"item {seq}".encode())


def line(seq: int, call_id: str = "fc-A", app_id: str = "ap-1") -> LogRow:
    """Return a line of output."""
    where = f"in-{call_id[3:]}-0" if call_id else ""
    return LogRow(seq, 5.0 + seq, app_id, call_id, where, "ct-1", "work", "stdout", f"line {seq} é")
