"""Writing what a container said into the schema's messages, cut to size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.wire.gen import common_pb2
from offload.wire.guest import GuestProtocolError
from offload.wire.limits import INLINE_PAYLOAD_BYTES
from offload.worker.core.text import MAX_NAME_BYTES, MAX_TEXT_BYTES, cut, one_line

if TYPE_CHECKING:
    from offload.wire.gen.workers_pb2 import WorkerMessage
    from offload.wire.guest import Body, Fault, Result
    from offload.worker.core.hands import Interrupt
    from offload.worker.core.values import Failure, OutcomeState
    from offload.worker.inputs.uploads import Blob

_SUCCEEDED = common_pb2.INPUT_STATE_SUCCEEDED

MAX_TRACEBACK_LINES = 200
_MAX_ENCODING_CHARS = 64


def check_body(body: Body) -> None:
    """Raise `GuestProtocolError` for a body that no other part could carry."""
    if len(body.inline) > INLINE_PAYLOAD_BYTES or len(body.encoding) > _MAX_ENCODING_CHARS:
        raise GuestProtocolError(
            f"it sent {len(body.inline)} bytes inline where {INLINE_PAYLOAD_BYTES} are allowed"
        )


def write_body(payload: common_pb2.Payload, body: Body, blob: Blob | None) -> None:
    """Fill a payload from a checked body, or from the blob it was uploaded as."""
    payload.encoding = body.encoding
    if blob is None:
        payload.inline = body.inline
    else:
        payload.blob.sha256 = blob.sha256
        payload.blob.size_bytes = blob.size_bytes


def write_result(
    message: WorkerMessage, result: Result, interrupt: Interrupt | None, blob: Blob | None
) -> None:
    """Append the end of an attempt, as its container reported it."""
    entry = message.results.add()
    entry.input_id = result.input_id
    entry.attempt = result.attempt
    outcome = entry.outcome
    outcome.started_at = result.started_at
    outcome.run_seconds = result.run_seconds
    if result.item_count:
        outcome.item_count = result.item_count
    if result.fault is None and not result.interrupted:
        outcome.state = _SUCCEEDED
        if result.value is not None:
            write_body(outcome.value, result.value, blob)
        return
    _write_ending(outcome, result, interrupt)
    if result.fault is not None:
        _write_fault(outcome.failure, result.fault, blob)


def _write_ending(outcome: common_pb2.Outcome, result: Result, interrupt: Interrupt | None) -> None:
    failure = outcome.failure
    if result.interrupted and interrupt is not None:
        if interrupt.timed_out:
            outcome.state = common_pb2.INPUT_STATE_TIMED_OUT
            failure.kind = common_pb2.FAILURE_KIND_TIMEOUT
        else:
            outcome.state = common_pb2.INPUT_STATE_CANCELLED
            failure.kind = common_pb2.FAILURE_KIND_CANCELLED
        failure.reason = interrupt.reason
        return
    outcome.state = common_pb2.INPUT_STATE_FAILED
    failure.kind = common_pb2.FAILURE_KIND_EXCEPTION
    if result.fault is None:
        failure.reason = "its container gave it up as interrupted, which nobody had asked for"
    else:
        name, message = result.fault.type_name.removeprefix("builtins."), result.fault.message
        failure.reason = one_line(f"{name}: {message}" if message.strip() else name)


def _write_fault(failure: common_pb2.Failure, fault: Fault, blob: Blob | None) -> None:
    failure.type_name = cut(fault.type_name, MAX_NAME_BYTES)
    failure.message = cut(fault.message)
    room = MAX_TEXT_BYTES
    # The innermost lines say most, so they are the ones kept.
    kept = []
    for line in reversed(fault.frames[-MAX_TRACEBACK_LINES:]):
        file, function = cut(line.file, MAX_NAME_BYTES), cut(line.function, MAX_NAME_BYTES)
        text = cut(line.text, MAX_NAME_BYTES)
        room -= len(file) + len(function) + len(text)
        if room < 0:
            break
        kept.append(
            common_pb2.TracebackFrame(
                file=file, line=max(0, line.line), function=function, text=text
            )
        )
    failure.frames.extend(reversed(kept))
    if fault.exception is not None and (blob is not None or not fault.exception.bulk):
        write_body(failure.exception, fault.exception, blob)


def write_failure(
    message: WorkerMessage, input_id: str, attempt: int, state: OutcomeState, failure: Failure
) -> None:
    """Append the end of an attempt that its container could not report."""
    entry = message.results.add()
    entry.input_id = input_id
    entry.attempt = attempt
    entry.outcome.state = int(state)  # type: ignore[assignment]  # the numbers are the schema's
    target = entry.outcome.failure
    target.kind = int(failure.kind)  # type: ignore[assignment]  # the numbers are the schema's
    target.reason = one_line(failure.reason)
    target.exit_code = failure.exit_code
    target.signal = failure.signal
