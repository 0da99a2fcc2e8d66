"""Rows of the reading statements as values of the port."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from offload.control.core.events import CallRestored, RestoredInput
from offload.control.core.ids import input_id
from offload.control.core.inputs import InputState
from offload.control.core.model import Call, CallKind, FailureKind, Function, RetryPolicy
from offload.control.ports.store import LogRow, OutcomeRow, StoredApp, StoredCall
from offload.control.stores.sqlite.keys import split_input_key

if TYPE_CHECKING:
    import sqlite3


def app(row: sqlite3.Row) -> StoredApp:
    """Return the app of a row."""
    return StoredApp(row["app_id"], row["name"], row["created_at"], row["stopped_at"])


def function(row: sqlite3.Row) -> Function:
    """Return the function of a row."""
    return Function(
        function_id=row["function_id"],
        app_id=row["app_id"],
        app_name=row["app_name"],
        name=row["name"],
        cpu_milli=row["cpu_milli"],
        memory_mib=row["memory_mib"],
        timeout_seconds=row["timeout_seconds"],
        startup_timeout_seconds=row["startup_timeout_seconds"],
        retries=RetryPolicy(
            max_retries=row["max_retries"],
            initial_delay_seconds=row["initial_delay_seconds"],
            backoff_coefficient=row["backoff_coefficient"],
            max_delay_seconds=row["max_delay_seconds"],
        ),
        min_containers=row["min_containers"],
        max_containers=row["max_containers"],
        scaledown_window_seconds=row["scaledown_window_seconds"],
        runtime=row["runtime"],
        host_id=row["host_id"],
        is_generator=bool(row["is_generator"]),
        body=row["body"],
    )


def stored_call(row: sqlite3.Row) -> StoredCall:
    """Return the call of a row."""
    return StoredCall(
        call_id=row["call_id"],
        app_id=row["app_id"],
        app_name=row["app_name"],
        function_id=row["function_id"],
        function_name=row["function_name"],
        kind=CallKind(row["kind"]),
        created_at=row["created_at"],
        attached=bool(row["attached"]),
        durable=bool(row["durable"]),
        closed=bool(row["closed"]),
        total=row["total"],
        state=row["state"],
        finished_at=row["finished_at"],
        counts=json.loads(row["counts"]),
    )


def restored_call(row: sqlite3.Row) -> CallRestored:
    """Return the open call of a row with its unfinished inputs."""
    call_id = row["call_id"]
    counts: dict[str, int] = json.loads(row["counts"])
    indices: list[int] = sorted(json.loads(row["unfinished"]))
    return CallRestored(
        call=Call(
            call_id=call_id,
            function_id=row["function_id"],
            kind=CallKind(row["kind"]),
            created_at=row["created_at"],
            attached=bool(row["attached"]),
            durable=bool(row["durable"]),
        ),
        inputs=tuple(RestoredInput(input_id(call_id, index), index, 0) for index in indices),
        closed=bool(row["closed"]),
        total=row["total"],
        outcome_count=sum(counts.values()),
        counts=counts,
    )


def outcome(row: sqlite3.Row, call_id: str) -> OutcomeRow:
    """Return the outcome of a row of this call."""
    _, index = split_input_key(row["input_key"])
    return OutcomeRow(
        input_id=input_id(call_id, index),
        call_id=call_id,
        index=index,
        seq=row["seq"],
        attempts=row["attempts"],
        state=InputState(row["state"]),
        failure=FailureKind(row["failure"]) if row["failure"] else None,
        reason=row["reason"],
        body=row["body"],
        at=row["at"],
    )


def log(row: sqlite3.Row) -> LogRow:
    """Return the line of a row."""
    return LogRow(
        seq=row["seq"],
        at=row["at"],
        app_id=row["app_id"],
        call_id=row["call_id"],
        input_id=row["input_id"],
        container_id=row["container_id"],
        function_name=row["function_name"],
        stream=row["stream"],
        text=row["text"],
    )
