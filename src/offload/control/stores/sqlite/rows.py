"""Rows of the reading statements as values of the port."""

from __future__ import annotations

import json
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

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
from offload.control.ports.records import DeadLetter, LogRow, OutcomeRow, StoredApp, StoredCall
from offload.control.stores.sqlite.keys import split_input_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence


def app(row: sqlite3.Row) -> StoredApp:
    """Return the app of a row."""
    return StoredApp(
        row["app_id"],
        row["name"],
        row["created_at"],
        row["stopped_at"],
        row["workspace"],
        row["environment"],
    )


def function(row: sqlite3.Row) -> Function:
    """Return the function of a row."""
    return Function(
        function_id=row["function_id"],
        app_id=row["app_id"],
        app_name=row["app_name"],
        name=row["name"],
        needs=Needs(
            cpu_milli=row["cpu_milli"],
            memory_mib=row["memory_mib"],
            gpus=row["gpus"],
            gpu_kind=row["gpu_kind"],
            runtime=row["runtime"],
            host_id=row["host_id"],
            labels=tuple((name, value) for name, value in json.loads(row["labels"])),
            disk_mib=row["disk_mib"],
            abilities=tuple(json.loads(row["abilities"])),
        ),
        timeout_seconds=row["timeout_seconds"],
        startup_timeout_seconds=row["startup_timeout_seconds"],
        retries=RetryPolicy(
            max_retries=row["max_retries"],
            initial_delay_seconds=row["initial_delay_seconds"],
            backoff_coefficient=row["backoff_coefficient"],
            max_delay_seconds=row["max_delay_seconds"],
        ),
        scaling=Scaling(
            min_containers=row["min_containers"],
            max_containers=row["max_containers"],
            buffer_containers=row["buffer_containers"],
            scaledown_window_seconds=row["scaledown_window_seconds"],
        ),
        is_generator=bool(row["is_generator"]),
        workspace=row["workspace"],
        environment=row["environment"],
        max_inputs=row["max_inputs"],
        target_inputs=row["target_inputs"],
        body=row["body"],
        blob=row["blob"],
        image_blobs=tuple(json.loads(row["image_blobs"])),
    )


def call(row: sqlite3.Row) -> Call:
    """Return the call of a row as it was submitted."""
    after = row["after_calls"]
    return Call(
        call_id=row["call_id"],
        function_id=row["function_id"],
        kind=CallKind(row["kind"]),
        created_at=row["created_at"],
        attached=bool(row["attached"]),
        durable=bool(row["durable"]),
        priority=row["priority"],
        deadline=row["deadline"],
        after=() if after == "[]" else tuple(json.loads(after)),
        run_anyway=bool(row["run_anyway"]),
        not_before=row["not_before"],
    )


def stored_call(row: sqlite3.Row) -> StoredCall:
    """Return the call of a row with what became of it."""
    submitted = call(row)
    return StoredCall(
        call_id=submitted.call_id,
        app_id=row["app_id"],
        app_name=row["app_name"],
        function_id=submitted.function_id,
        function_name=row["function_name"],
        kind=submitted.kind,
        created_at=submitted.created_at,
        attached=submitted.attached,
        durable=submitted.durable,
        closed=bool(row["closed"]),
        total=row["total"],
        state=row["state"],
        finished_at=row["finished_at"],
        counts=json.loads(row["counts"]),
        priority=submitted.priority,
        deadline=submitted.deadline,
        after=submitted.after,
        run_anyway=submitted.run_anyway,
        not_before=submitted.not_before,
    )


def outcome(row: sqlite3.Row, call_id: str, offset: int = 0) -> OutcomeRow:
    """Return the outcome of a row of this call; in a run, that of the input at `offset`."""
    _, index = split_input_key(row["input_key"])
    index += offset
    return OutcomeRow(
        input_id=input_id(call_id, index),
        call_id=call_id,
        index=index,
        seq=row["seq"] + offset,
        attempts=row["attempts"],
        state=InputState(row["state"]),
        failure=FailureKind(row["failure"]) if row["failure"] else None,
        reason=row["reason"],
        body=row["body"],
        at=row["at"],
        blob=row["blob"],
    )


def outcomes(
    found: Sequence[sqlite3.Row], call_id: str, after_seq: int, limit: int
) -> list[OutcomeRow]:
    """Return the page of outcomes that these rows and runs make together."""
    single = [outcome(row, call_id) for row in found if row["input_count"] == 1]
    runs = [
        _in_run(row, call_id, max(0, after_seq + 1 - row["seq"]))
        for row in found
        if row["input_count"] > 1
    ]
    single.sort(key=_in_order)
    return list(islice(merge(single, *runs, key=_in_order), limit))


def _in_run(row: sqlite3.Row, call_id: str, first: int) -> Iterator[OutcomeRow]:
    return (outcome(row, call_id, offset) for offset in range(first, row["input_count"]))


def _in_order(row: OutcomeRow) -> tuple[int, int]:
    return row.seq, row.index


def dead_letter(row: sqlite3.Row) -> DeadLetter:
    """Return the dead letter of a row."""
    _, index = split_input_key(row["input_key"])
    return DeadLetter(
        input_id=input_id(row["call_id"], index),
        call_id=row["call_id"],
        index=index,
        app_name=row["app_name"],
        function_id=row["function_id"],
        function_name=row["function_name"],
        attempts=row["attempts"],
        at=row["at"],
        reason=row["reason"],
        blob=row["blob"],
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
