"""Whatever does not end well says why in one line."""

from __future__ import annotations

import pytest

from offload.wire import guest
from offload.wire.gen import common_pb2, workers_pb2
from offload.worker.core.attribution import Ending, failure_of
from offload.worker.core.hands import Interrupt
from offload.worker.core.values import Failure, FailureKind, OutcomeState
from offload.worker.inputs.outcomes import write_failure, write_result


def reported(fault: guest.Fault | None, interrupt: Interrupt | None = None) -> common_pb2.Outcome:
    """Return the outcome of an input whose container reported its end."""
    message = workers_pb2.WorkerMessage()
    result = guest.Result("in-1", 1, None, fault, interrupt is not None or fault is None, 0, 0, 0)
    write_result(message, result, interrupt, None)
    return message.results[0].outcome


def settled(state: OutcomeState, failure: Failure) -> common_pb2.Outcome:
    """Return the outcome of an input whose container could not report its end."""
    message = workers_pb2.WorkerMessage()
    write_failure(message, "in-1", 1, state, failure)
    return message.results[0].outcome


def a_fault(type_name: str, message: str) -> guest.Fault:
    return guest.Fault(type_name, message, (), None)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (a_fault("builtins.ValueError", "no such row"), "ValueError: no such row"),
        (
            a_fault("shop.OutOfStockError", "size 42\nand 43"),
            "shop.OutOfStockError: size 42 and 43",
        ),
        (a_fault("builtins.KeyError", ""), "KeyError"),
        (a_fault("builtins.SystemExit", "3"), "SystemExit: 3"),
        (a_fault("builtins.MemoryError", " "), "MemoryError"),
    ],
)
def test_an_exception_is_named_with_its_message(fault: guest.Fault, reason: str) -> None:
    failure = reported(fault).failure

    assert (failure.kind, failure.reason) == (common_pb2.FAILURE_KIND_EXCEPTION, reason)


def test_a_cancelled_input_says_who_cancelled_it() -> None:
    fault = a_fault("offload.errors.InputCancellation", "told")

    outcome = reported(fault, Interrupt(False, "cancelled by ada on host-3"))

    assert outcome.state == common_pb2.INPUT_STATE_CANCELLED
    assert outcome.failure.kind == common_pb2.FAILURE_KIND_CANCELLED
    assert outcome.failure.reason == "cancelled by ada on host-3"


def test_an_input_past_its_timeout_says_how_long_it_had() -> None:
    fault = a_fault("offload.errors.InputCancellation", "told")

    outcome = reported(fault, Interrupt(True, "ran longer than its timeout of 5 s"))

    assert outcome.state == common_pb2.INPUT_STATE_TIMED_OUT
    assert outcome.failure.kind == common_pb2.FAILURE_KIND_TIMEOUT
    assert outcome.failure.reason == "ran longer than its timeout of 5 s"


def test_a_container_that_gives_an_input_up_unasked_is_told_on() -> None:
    outcome = reported(None)

    assert outcome.state == common_pb2.INPUT_STATE_FAILED
    assert outcome.failure.reason == (
        "its container gave it up as interrupted, which nobody had asked for"
    )


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (
            Ending(signal=9, out_of_memory=True, peak_memory_mib=511, memory_mib=512),
            "passed its memory limit of 512 MiB (peak 511 MiB)",
        ),
        (
            Ending(signal=9, out_of_memory=True, memory_mib=512),
            "passed its memory limit of 512 MiB",
        ),
        (Ending(signal=6), "its container was ended by signal SIGABRT (6)"),
        (Ending(signal=10), "its container was ended by signal SIGUSR1 (10)"),
        (Ending(signal=40), "its container was ended by signal 40"),
        (Ending(code=0), "its container exited with code 0"),
        (Ending(code=3), "its container exited with code 3"),
        (
            Ending(code=3, announced_code=3),
            "its container exited with code 3 (os._exit or the like)",
        ),
    ],
)
def test_an_input_that_ends_with_its_container_says_how_that_ended(
    ending: Ending, reason: str
) -> None:
    assert settled(OutcomeState.FAILED, failure_of(ending)).failure.reason == reason


def test_a_reason_is_one_line_and_never_too_long() -> None:
    failure = Failure(FailureKind.EXIT, "first\nsecond " + "x" * 10_000)

    reason = settled(OutcomeState.FAILED, failure).failure.reason

    assert reason.startswith("first second xxx")
    assert len(reason.encode()) <= 1024
