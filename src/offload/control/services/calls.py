"""Calls: submitting inputs, following outcomes and items, cancelling."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import CallCancelled, CallSubmitted, InputsAdded
from offload.control.core.ids import MAX_INPUTS_PER_CALL
from offload.control.core.ids import input_id as make_input_id
from offload.control.core.inputs import InputState
from offload.control.core.instructions import RecordOutcomes
from offload.control.core.model import Call, CallKind, NewInput
from offload.control.ports.store import CloseCall, InputRow, Record, SaveCall, SaveInputs
from offload.control.services.feeds import Follower, Topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.control.services.apps import Apps
    from offload.control.services.kernel import Kernel, LiveCall
    from offload.control.services.reading import Reading
    from offload.control.services.views import ItemRow, OutcomeRow, StoredCall

Inputs = Sequence[tuple[int, bytes]]  # (index, encoded Payload)


@dataclass(frozen=True, slots=True)
class NewCall:
    """What a caller submits."""

    call_id: str
    function_id: str
    kind: CallKind
    attached: bool
    durable: bool
    closed: bool
    is_repeat: bool = False  # the caller has sent it before and got no answer


class Calls:
    """Takes calls in and shows what becomes of them."""

    def __init__(self, kernel: Kernel, reading: Reading, apps: Apps) -> None:
        self._kernel = kernel
        self._reading = reading
        self._apps = apps

    async def run(
        self, call_id: str, function_id: str, payload: bytes, *, is_repeat: bool = False
    ) -> OutcomeRow:
        """Run one input and return its outcome; a known call is joined, not run again."""
        live = self._kernel.calls.get(call_id)
        if live is None:
            new = NewCall(call_id, function_id, CallKind.SINGLE, True, False, True, is_repeat)
            known = await self._find_repeated(new)
            if known is not None:
                return await self._only_outcome(known)
            if not self._is_callable(function_id):
                await self._require_stored_callable(new)
            live = self._kernel.calls.get(call_id) or self._open(new, ((0, payload),))
        if live.call.kind is not CallKind.SINGLE:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION, f"Call {call_id} is a {live.call.kind}: follow it."
            )
        waiter: asyncio.Future[OutcomeRow] = asyncio.get_running_loop().create_future()

        def tell(row: OutcomeRow) -> None:
            if not waiter.done():
                waiter.set_result(row)

        live.waiters.append(tell)
        return await waiter

    def run_new(
        self, call_id: str, function_id: str, payload: bytes, tell: Callable[[OutcomeRow], None]
    ) -> bool:
        """Run one input and tell its outcome once it is decided; False, and nothing done, where only `run` can."""
        new = NewCall(call_id, function_id, CallKind.SINGLE, True, False, True)
        if call_id in self._kernel.calls or call_id in self._kernel.recent:
            return False
        if not self._is_callable(function_id):
            return False
        self._open(new, ((0, payload),)).waiters.append(tell)
        return True

    async def submit(self, new: NewCall, inputs: Inputs) -> str:
        """Open a call with its first inputs; return its id once they are on disk."""
        _check_indices(inputs)
        if not new.call_id:
            call_id = f"fc-{secrets.token_hex(13)}"
            new = replace(new, call_id=call_id)
        if new.call_id not in self._kernel.calls:
            if await self._find_repeated(new) is not None:
                return new.call_id
            if not self._is_callable(new.function_id):
                await self._require_stored_callable(new)
        live = self._kernel.calls.get(new.call_id)
        if live is not None:
            await self._add(live, inputs, new.closed)
            return new.call_id
        self._open(new, inputs)
        try:
            await self._kernel.journal.flush()
        except DomainError as error:
            self._withdraw(new.call_id, error.message)
            raise
        return new.call_id

    async def add_inputs(self, call_id: str, inputs: Inputs, close: bool) -> None:
        """Add inputs to an open call; return once they are on disk. Known indices are ignored."""
        _check_indices(inputs)
        live = self._kernel.calls.get(call_id)
        if live is None:
            await self._require_stored(call_id)
            return
        await self._add(live, inputs, close)

    async def follow_outcomes(self, call_id: str, after_seq: int) -> Follower[OutcomeRow]:
        """Follow a call's outcomes to its end."""
        topic = await self._topic(call_id)

        async def read(after: int, limit: int) -> list[OutcomeRow]:
            return await self._reading.get(self._reading.store.outcomes, call_id, after, limit)

        return Follower(topic, read, after_seq)

    async def follow_items(
        self, call_id: str, index: int, after_item: int
    ) -> tuple[Follower[ItemRow], str]:
        """Follow what a generator input yields to its end; also return the input's id."""
        await self._topic(call_id)
        input_id = make_input_id(call_id, index)
        topic: Topic[ItemRow] | None = None
        if self._kernel.payloads.is_open(input_id):
            topic = self._kernel.items.setdefault(input_id, Topic())
        else:
            # Decided, but its last items may still be on their way to the disk.
            await self._kernel.journal.flush()
            if await self.outcome(input_id) is None:
                raise DomainError(
                    ErrorCode.NOT_FOUND, f"Call {call_id} has no input {index}: submit it first."
                )

        async def read(after: int, limit: int) -> list[ItemRow]:
            return await self._reading.get(self._reading.store.items, input_id, after, limit)

        return Follower(topic, read, after_item), input_id

    async def outcome(self, input_id: str) -> OutcomeRow | None:
        """Return an input's outcome if it is on disk."""
        return await self._reading.get(self._reading.store.outcome, input_id)

    async def cancel(self, call_id: str, reason: str) -> int:
        """End a call; return how many of its inputs that cancelled, once that is on disk."""
        if call_id not in self._kernel.calls:
            await self._require_stored(call_id)
            return 0
        instructions = self._kernel.apply(CallCancelled(call_id, reason or "cancelled"))
        count = sum(
            outcome.call_id == call_id and outcome.state is InputState.CANCELLED
            for instruction in instructions
            if isinstance(instruction, RecordOutcomes)
            for outcome in instruction.outcomes
        )
        await self._kernel.journal.flush()
        return count

    def _open(self, new: NewCall, inputs: Inputs) -> LiveCall:
        if not new.call_id.startswith("fc-") or not new.call_id[3:].isalnum():
            raise DomainError(
                ErrorCode.INVALID,
                f"Call id {new.call_id!r} must be 'fc-' followed by letters and digits.",
            )
        call = Call(
            new.call_id,
            new.function_id,
            new.kind,
            self._kernel.clock.now(),
            new.attached,
            new.durable,
        )
        live = self._kernel.open_call(call, new.closed)
        rows = _new_rows(live, inputs)
        records: list[Record] = [SaveCall(call), SaveInputs(new.call_id, rows)]
        if new.closed:
            records.append(CloseCall(new.call_id, len(live.indices)))
        self._kernel.journal.write(records)
        self._kernel.keep_payloads(call, rows)
        self._kernel.apply(CallSubmitted(call, _new_inputs(rows), new.closed))
        return live

    async def _add(self, live: LiveCall, inputs: Inputs, close: bool) -> None:
        journal = self._kernel.journal
        journal.require_working()
        if live.is_over or (live.closed and not inputs):
            await journal.flush()
            return
        rows = _new_rows(live, inputs)
        if live.closed and rows:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"Call {live.call.call_id} is closed: no input can be added to it.",
            )
        call_id = live.call.call_id
        records: list[Record] = [SaveInputs(call_id, rows)] if rows else []
        if close and not live.closed:
            live.closed = True
            records.append(CloseCall(call_id, len(live.indices)))
        journal.write(records)
        self._kernel.keep_payloads(live.call, rows)
        if records:
            self._kernel.apply(InputsAdded(call_id, _new_inputs(rows), close))
        await journal.flush()

    def _withdraw(self, call_id: str, reason: str) -> None:
        if call_id in self._kernel.calls:
            self._kernel.apply(CallCancelled(call_id, f"it could not be recorded: {reason}"))

    def _is_callable(self, function_id: str) -> bool:
        self._kernel.journal.require_working()
        function = self._kernel.dispatcher.function(function_id)
        return function is not None and self._apps.is_running(function.app_id)

    async def _require_stored_callable(self, new: NewCall) -> None:
        stored = await self._reading.get(self._reading.store.function, new.function_id)
        if stored is None:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no function {new.function_id!r} for call {new.call_id}: "
                "register it first.",
            )
        await self._apps.require_running(stored.app_id)

    async def _topic(self, call_id: str) -> Topic[OutcomeRow] | None:
        live = self._kernel.calls.get(call_id)
        if live is not None:
            return live.outcomes
        await self._require_stored(call_id)
        return None

    async def _find_repeated(self, new: NewCall) -> StoredCall | None:
        # A look into the store costs a warm call a third of its time, so only a possible repeat gets one.
        if new.is_repeat or new.call_id in self._kernel.recent:
            return await self._find_ended(new.call_id)
        return None

    async def _find_ended(self, call_id: str) -> StoredCall | None:
        return await self._reading.get(self._reading.store.call, call_id)

    async def _require_stored(self, call_id: str) -> StoredCall:
        call = await self._find_ended(call_id)
        if call is None:
            raise DomainError(
                ErrorCode.NOT_FOUND, f"There is no call {call_id!r}: `offload calls ls` lists them."
            )
        return call

    async def _only_outcome(self, call: StoredCall) -> OutcomeRow:
        row = await self.outcome(make_input_id(call.call_id, 0))
        if row is None or call.kind is not CallKind.SINGLE:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"Call {call.call_id} is a {call.kind} with no single outcome: follow it.",
            )
        return row


def _check_indices(inputs: Inputs) -> None:
    # A store that cannot keep an index would refuse the whole batch, again and again, with everybody's records in it.
    for index, _ in inputs:
        if not 0 <= index < MAX_INPUTS_PER_CALL:
            raise DomainError(
                ErrorCode.INVALID,
                f"Input index {index} is out of range: a call holds {MAX_INPUTS_PER_CALL} inputs, counted from 0.",
            )


def _new_rows(live: LiveCall, inputs: Inputs) -> tuple[InputRow, ...]:
    call_id = live.call.call_id
    add = live.indices.add
    return tuple(
        InputRow(make_input_id(call_id, index), index, payload)
        for index, payload in inputs
        if add(index)
    )


def _new_inputs(rows: Sequence[InputRow]) -> tuple[NewInput, ...]:
    return tuple(NewInput(row.input_id, row.index) for row in rows)
