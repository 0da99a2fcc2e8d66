"""What a caller submits: checked, and made into a call."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import CallSubmitted
from offload.control.core.ids import CALL_PREFIX, MAX_INPUTS_PER_CALL, timed_call_id
from offload.control.core.ids import input_id as make_input_id
from offload.control.core.model import Call, CallKind
from offload.control.ports.records import CloseCall, InputRow, SaveCall, SaveInputs

if TYPE_CHECKING:
    from offload.control.ports.records import OutcomeRow, Record
    from offload.control.services.kernel import Kernel
    from offload.control.services.live import LiveCall

MAX_PRIORITY = 1000
MAX_IDEMPOTENCY_KEY_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class NewInput:
    """An input with its encoded Payload, and the SHA-256 of the blob that it names, if it names one."""

    index: int
    payload: bytes
    blob: str = ""


Inputs = Sequence[NewInput]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How a call is to be treated."""

    priority: int = 0
    timeout_seconds: float = 0.0  # for all of it; 0: none
    after: tuple[str, ...] = ()
    run_anyway: bool = False
    idempotency_key: str = ""
    delay_seconds: float = 0.0  # not before so long after its submission
    start_at: float = 0.0  # not before then, in Unix seconds
    any_version: bool = False  # also of a version of a deployed app that serves no more

    def check(self) -> None:
        """Raise `DomainError` for what cannot be meant."""
        wrong = {
            f"priority {self.priority} is out of range: at most {MAX_PRIORITY} either way": (
                abs(self.priority) > MAX_PRIORITY
            ),
            f"a call's timeout of {self.timeout_seconds:g} s must not be negative": (
                not self.timeout_seconds >= 0
            ),
            f"a delay of {self.delay_seconds:g} s must not be negative": not self.delay_seconds
            >= 0,
            f"an idempotency key has at most {MAX_IDEMPOTENCY_KEY_CHARACTERS} characters": (
                len(self.idempotency_key) > MAX_IDEMPOTENCY_KEY_CHARACTERS
            ),
        }
        for text, is_wrong in wrong.items():
            if is_wrong:
                raise DomainError(ErrorCode.INVALID, text[0].upper() + text[1:] + ".")

    @property
    def is_later(self) -> bool:
        """Whether it is not to begin at once."""
        return bool(self.delay_seconds or self.start_at)


NO_OPTIONS = CallOptions()


@dataclass(frozen=True, slots=True)
class NewCall:
    """What a caller submits. An empty `call_id` lets the server choose, by the idempotency key where there is one."""

    call_id: str
    function_id: str
    kind: CallKind
    attached: bool
    durable: bool
    closed: bool
    is_repeat: bool = False  # the caller has sent it before and got no answer
    options: CallOptions = NO_OPTIONS

    def as_call(self, now: float) -> Call:
        """Return the call; raise `DomainError` for an id that no call can have."""
        if not self.call_id.startswith(CALL_PREFIX) or not self.call_id[3:].isalnum():
            raise DomainError(
                ErrorCode.INVALID,
                f"Call id {self.call_id!r} must be 'fc-' followed by letters and digits.",
            )
        options = self.options
        begin = max(now + options.delay_seconds, options.start_at)
        return Call(
            self.call_id,
            self.function_id,
            self.kind,
            now,
            self.attached,
            self.durable,
            options.priority,
            begin + options.timeout_seconds if options.timeout_seconds else 0.0,
            tuple(dict.fromkeys(options.after)),
            options.run_anyway,
            begin if options.is_later else 0.0,
        )


def new_call_id(now: float) -> str:
    """Return an id nobody has."""
    return timed_call_id(now, secrets.randbits(80))


def check_indices(inputs: Inputs) -> None:
    """Raise `DomainError` for an index that no store can keep: it would refuse the whole batch, again and again."""
    for each in inputs:
        if not 0 <= each.index < MAX_INPUTS_PER_CALL:
            raise DomainError(
                ErrorCode.INVALID,
                f"Input index {each.index} is out of range: a call holds {MAX_INPUTS_PER_CALL} inputs, counted from 0.",
            )


def new_rows(live: LiveCall, inputs: Inputs) -> tuple[InputRow, ...]:
    """Return the rows of those inputs that are new to the call, and count them as its own."""
    call_id = live.call.call_id
    add = live.indices.add
    return tuple(
        InputRow(make_input_id(call_id, each.index), each.index, each.payload, each.blob)
        for each in inputs
        if add(each.index, each.index + 1)
    )


def runs_of(rows: Sequence[InputRow]) -> tuple[range, ...]:
    """Return the indices of the rows as runs.

    >>> runs_of([InputRow("", 3, b""), InputRow("", 4, b""), InputRow("", 7, b"")])
    (range(3, 5), range(7, 8))
    """
    runs: list[range] = []
    for row in rows:
        if runs and runs[-1].stop == row.index:
            runs[-1] = range(runs[-1].start, row.index + 1)
        else:
            runs.append(range(row.index, row.index + 1))
    return tuple(runs)


def begin(
    kernel: Kernel,
    call: Call,
    inputs: Inputs,
    closed: bool,
    *,
    ended: tuple[tuple[str, str], ...] = (),
    although_stopped: bool = False,
) -> LiveCall:
    """Take a new call in: remember it, write it behind, and tell the dispatcher. See `CallSubmitted`."""
    live, rows = record(kernel, call, inputs, closed)
    tell(kernel, call, runs_of(rows), closed=closed, ended=ended, although_stopped=although_stopped)
    return live


def tell(
    kernel: Kernel,
    call: Call,
    runs: tuple[range, ...],
    *,
    closed: bool,
    ended: tuple[tuple[str, str], ...] = (),
    although_stopped: bool = False,
) -> None:
    """Tell the dispatcher of a new call that is remembered."""
    drift = kernel.drift_seconds
    if drift:
        deadline = call.deadline - drift if call.deadline else 0.0
        not_before = call.not_before - drift if call.not_before else 0.0
        call = replace(
            call, created_at=call.created_at - drift, deadline=deadline, not_before=not_before
        )
    kernel.apply(CallSubmitted(call, runs, closed, ended, although_stopped))


def begin_transient(
    kernel: Kernel, call: Call, only: NewInput, on_outcome: Callable[[OutcomeRow], None]
) -> None:
    """Take a new call of one input in of which nothing is written."""
    live = kernel.calls.open(call, closed=True)
    live.wait(on_outcome)  # there is no other place to learn it from, and it may be decided at once
    rows = new_rows(live, (only,))
    kernel.keep_payloads(call, rows)
    tell(kernel, call, runs_of(rows), closed=True)


def record(
    kernel: Kernel, call: Call, inputs: Inputs, closed: bool
) -> tuple[LiveCall, tuple[InputRow, ...]]:
    """Remember a new call and write it behind; return its rows, of which the dispatcher is to be told."""
    live = kernel.calls.open(call, closed)
    rows = new_rows(live, inputs)
    records: list[Record] = [SaveCall(call), SaveInputs(call.call_id, rows)]
    if closed:
        records.append(CloseCall(call.call_id, len(live.indices)))
    kernel.journal.write(records)
    kernel.keep_payloads(call, rows)
    return live, rows
