"""Records of the store port with everything that a test does not care about filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.ids import input_id
from offload.control.core.inputs import InputState
from offload.control.core.model import Call, CallKind, FailureKind, Function, RetryPolicy
from offload.control.ports.store import (
    InputRow,
    ItemRow,
    LogRow,
    OutcomeRow,
    SaveApp,
    SaveCall,
    SaveFunction,
    SaveInputs,
    SaveOutcomes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.ports.store import Record


def function(function_id: str = "fu-1", app_id: str = "ap-1", app_name: str = "demo") -> Function:
    """Return a function whose fields are all different, so that none can stand in for another."""
    return Function(
        function_id=function_id,
        app_id=app_id,
        app_name=app_name,
        name=f"name of {function_id}",
        cpu_milli=1500,
        memory_mib=257,
        timeout_seconds=301.5,
        startup_timeout_seconds=61.5,
        retries=RetryPolicy(3, 1.5, 2.5, 62.5),
        min_containers=1,
        max_containers=7,
        scaledown_window_seconds=63.5,
        runtime="bubblewrap",
        host_id="host-1",
        is_generator=True,
        body=b"\x00definition\xff",
    )


def call(call_id: str = "fc-A", function_id: str = "fu-1", created_at: float = 10.0) -> Call:
    """Return a call of the function."""
    return Call(call_id, function_id, CallKind.MAP, created_at, attached=True, durable=False)


def app_with_call(call_id: str = "fc-A") -> list[Record]:
    """Return what has to be there before a call's inputs."""
    return [SaveApp("ap-1", "demo", 1.0), SaveFunction(function()), SaveCall(call(call_id))]


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
