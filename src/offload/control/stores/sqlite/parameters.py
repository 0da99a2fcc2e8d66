"""Values of the port as the parameters of a statement's row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from offload.control.stores.sqlite.keys import input_key

if TYPE_CHECKING:
    from offload.control.core.events import History
    from offload.control.core.model import Call, Function, Scaling
    from offload.control.ports.records import LogRow, OutcomeRow, SaveOutcomeRun


def function(f: Function) -> tuple[object, ...]:
    """Return the row of a new function."""
    return (
        f.function_id,
        f.app_id,
        f.name,
        f.needs.cpu_milli,
        f.needs.memory_mib,
        f.timeout_seconds,
        f.startup_timeout_seconds,
        f.retries.max_retries,
        f.retries.initial_delay_seconds,
        f.retries.backoff_coefficient,
        f.retries.max_delay_seconds,
        *scaling(f.scaling),
        f.needs.gpus,
        f.needs.gpu_kind,
        json.dumps(f.needs.labels),
        f.needs.disk_mib,
        json.dumps(f.needs.abilities),
        f.needs.runtime,
        f.needs.host_id,
        f.is_generator,
        f.max_inputs,
        f.target_inputs,
        f.body,
        f.blob,
        json.dumps(f.image_blobs),
    )


def scaling(s: Scaling) -> tuple[object, ...]:
    """Return the bounds of a function's containers."""
    return (s.min_containers, s.max_containers, s.buffer_containers, s.scaledown_window_seconds)


def call(key: int, c: Call) -> tuple[object, ...]:
    """Return the row of a new call."""
    return (
        key,
        c.call_id,
        c.function_id,
        str(c.kind),
        c.created_at,
        c.attached,
        c.durable,
        c.priority,
        c.deadline,
        json.dumps(c.after) if c.after else "[]",
        c.run_anyway,
        c.not_before,
    )


def outcome(call_key: int, o: OutcomeRow) -> tuple[object, ...]:
    """Return the row of an outcome of this call."""
    return (
        input_key(call_key, o.index),
        call_key,
        o.seq,
        o.attempts,
        str(o.state),  # in a third of the time that `.value` takes
        str(o.failure) if o.failure else None,
        o.reason,
        o.body,
        o.at,
        o.blob,
    )


def outcome_run(
    first_key: int, count: int, call_key: int, seq: int, run: SaveOutcomeRun
) -> tuple[object, ...]:
    """Return the row of a piece of a run."""
    state, failure = run.state.value, run.failure.value
    return (first_key, count, call_key, seq, state, failure, run.reason, run.body, run.at)


def history(key: int, h: History) -> tuple[object, ...]:
    """Return the row of what has happened to an input."""
    return (key, h.attempts, h.failures, h.losses, h.kills, h.alone, h.retry_at)


def log(line: LogRow) -> tuple[object, ...]:
    """Return the row of a line."""
    return (
        line.seq,
        line.at,
        line.app_id,
        line.call_id,
        line.input_id,
        line.container_id,
        line.function_name,
        line.stream,
        line.text,
    )
