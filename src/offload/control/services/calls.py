"""Calls: submitting inputs and cancelling."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.control.core.dependencies import find_cycle
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import CallCancelled, FunctionRegistered, InputsAdded
from offload.control.core.ids import input_id as make_input_id
from offload.control.core.ids import keyed_call_id
from offload.control.core.inputs import InputState
from offload.control.core.instructions import RecordOutcomes, RecordRuns
from offload.control.core.model import Call, CallKind
from offload.control.ports.records import CloseCall, SaveFunction, SaveInputs
from offload.control.services.submission import (
    NO_OPTIONS,
    CallOptions,
    NewCall,
    NewInput,
    begin,
    begin_transient,
    check_indices,
    new_call_id,
    new_rows,
    runs_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from offload.control.core.instructions import Instruction
    from offload.control.ports.records import OutcomeRow, Record, StoredCall
    from offload.control.services.abandoned import Abandoned
    from offload.control.services.apps import Apps
    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.live import LiveCall
    from offload.control.services.submission import Inputs
    from offload.control.services.versions import Versions

Ended = tuple[tuple[str, str], ...]  # (call id, final state)


class Calls:
    """Takes calls in, and ends them."""

    def __init__(
        self,
        kernel: Kernel,
        archive: Archive,
        apps: Apps,
        versions: Versions,
        abandoned: Abandoned,
    ) -> None:
        self._kernel = kernel
        self._archive = archive
        self._apps = apps
        self._versions = versions
        self._abandoned = abandoned

    async def run(
        self,
        call_id: str,
        function_id: str,
        only: NewInput,
        *,
        is_repeat: bool = False,
        options: CallOptions = NO_OPTIONS,
    ) -> OutcomeRow:
        """Run one input and return its outcome; a known call is joined, not run again."""
        live = self._kernel.calls.get(call_id)
        if live is None:
            new = NewCall(
                call_id, function_id, CallKind.SINGLE, True, False, True, is_repeat, options
            )
            if options is not NO_OPTIONS:
                if options.idempotency_key:
                    # Others may hold the same call: it neither ends with this caller nor hangs on its repeating it.
                    new = replace(new, attached=False, durable=True)
                new = await self._named(new)
                live = self._kernel.calls.get(new.call_id)
            if live is None:
                known = await self._find_repeated(new)
                if known is not None:
                    return await self._only_outcome(known)
                live = await self._open(new, (only,))
        if live.call.kind is not CallKind.SINGLE:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"Call {live.call.call_id} is a {live.call.kind}: follow it.",
            )
        waiter: asyncio.Future[OutcomeRow] = asyncio.get_running_loop().create_future()

        def tell(row: OutcomeRow) -> None:
            if not waiter.done():
                waiter.set_result(row)

        live.wait(tell)
        return await waiter

    def run_new(
        self, call_id: str, function_id: str, only: NewInput, tell: Callable[[OutcomeRow], None]
    ) -> bool:
        """Run one input and tell its outcome once it is decided; False, and nothing done, where only `run` can."""
        if call_id in self._kernel.calls or call_id in self._kernel.recent:
            return False
        if not self._is_callable(function_id):
            return False
        new = NewCall(call_id, function_id, CallKind.SINGLE, True, False, True)
        self._begin(new, (only,), ()).wait(tell)
        return True

    def run_transient(
        self, function_id: str, only: NewInput, tell: Callable[[OutcomeRow], None]
    ) -> str | None:
        """Run one input of which nothing is kept and that never runs twice, and tell its outcome; return its call's id.

        None, and nothing done, where the function takes no calls now. `CallCancelled` ends it as it ends any other.
        """
        kernel = self._kernel
        function = kernel.dispatcher.function(function_id)
        if function is None or not self._apps.is_running(function.app_id):
            return None
        now = kernel.clock.now()
        call = Call(
            new_call_id(now), function_id, CallKind.SINGLE, now, True, False, transient=True
        )
        kernel.dispatcher.check_submit(call, ())
        begin_transient(kernel, call, only, tell)
        return call.call_id

    def cancel_transient(self, call_id: str, reason: str) -> None:
        """End such a call, if it has not ended."""
        if call_id in self._kernel.calls:
            self._kernel.apply(CallCancelled(call_id, reason))

    async def submit(self, new: NewCall, inputs: Inputs) -> str:
        """Open a call with its first inputs; return its id once they are on disk."""
        check_indices(inputs)
        new = await self._named(new)
        if new.call_id not in self._kernel.calls and await self._find_repeated(new) is not None:
            return new.call_id
        live = self._kernel.calls.get(new.call_id)
        if live is not None:
            await self._add(live, inputs, new.closed)
            return new.call_id
        await self._open(new, inputs)
        await self._keep([new.call_id])
        return new.call_id

    async def submit_graph(self, graph: Sequence[tuple[NewCall, Inputs]]) -> list[str]:
        """Open calls that may come after one another, all or none; return their ids once they are on disk.

        Calls that are known already are joined. A cycle is refused, and named.
        """
        calls: list[tuple[NewCall, Inputs]] = []
        for new, inputs in graph:
            check_indices(inputs)
            calls.append((await self._named(new), inputs))
        in_order = _in_order(calls)
        fresh = [(new, inputs) for new, inputs in in_order if await self._find_ended(new) is None]
        stopped = {new.call_id for new, _ in fresh if await self._require_callable(new)}
        ended = await self._ended([new for new, _ in fresh])
        # From here on nothing else happens in between: either all of it is taken, or the first refusal ends it.
        self._kernel.journal.require_working()
        opened: list[str] = []
        try:
            for new, inputs in fresh:
                if new.call_id not in self._kernel.calls:
                    self._begin(new, inputs, ended, although_stopped=new.call_id in stopped)
                    opened.append(new.call_id)
        except DomainError as error:
            for call_id in opened:
                self._withdraw(call_id, error.message)
            raise
        await self._keep(opened)
        return [new.call_id for new, _ in calls]

    async def add_inputs(self, call_id: str, inputs: Inputs, close: bool) -> None:
        """Add inputs to an open call; return once they are on disk. Known indices are ignored."""
        check_indices(inputs)
        live = self._kernel.calls.get(call_id)
        if live is None:
            await self._archive.require_call(call_id)
            return
        await self._add(live, inputs, close)

    async def cancel(self, call_id: str, reason: str) -> int:
        """End a call; return how many of its inputs that cancelled, once that is on disk."""
        if call_id not in self._kernel.calls:
            await self._archive.require_call(call_id)
            return 0
        instructions = self._kernel.apply(CallCancelled(call_id, reason or "cancelled"))
        count = sum(_cancelled(one, call_id) for one in instructions)
        await self._kernel.journal.flush()
        return count

    async def _open(self, new: NewCall, inputs: Inputs) -> LiveCall:
        """Take a call that is new, if nobody else has meanwhile."""
        although_stopped = False
        if not self._is_callable(new.function_id):
            although_stopped = await self._require_callable(new)
        ended: Ended = ()
        if new.options.after:
            ended = await self._ended([new])
        return self._kernel.calls.get(new.call_id) or self._begin(
            new, inputs, ended, although_stopped=although_stopped
        )

    def _begin(
        self, new: NewCall, inputs: Inputs, ended: Ended, *, although_stopped: bool = False
    ) -> LiveCall:
        kernel = self._kernel
        call = new.as_call(kernel.clock.now())
        ended = tuple(pair for pair in ended if pair[0] in call.after)
        kernel.dispatcher.check_submit(call, ended, although_stopped=although_stopped)
        return begin(
            kernel, call, inputs, new.closed, ended=ended, although_stopped=although_stopped
        )

    async def _add(self, live: LiveCall, inputs: Inputs, close: bool) -> None:
        journal = self._kernel.journal
        journal.require_working()
        if live.ending or (live.closed and not inputs):
            await journal.flush()
            return
        rows = new_rows(live, inputs)
        call_id = live.call.call_id
        if live.closed and rows:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"Call {call_id} is closed: no input can be added to it.",
            )
        records: list[Record] = [SaveInputs(call_id, rows)] if rows else []
        if close and not live.closed:
            live.closed = True
            records.append(CloseCall(call_id, len(live.indices)))
        journal.write(records)
        self._kernel.keep_payloads(live.call, rows)
        if records:
            self._kernel.apply(InputsAdded(call_id, runs_of(rows), close))
        await journal.flush()

    async def _keep(self, call_ids: list[str]) -> None:
        """Return once calls that were taken in are on disk; where the store refuses them none is, and this raises."""
        try:
            await self._kernel.journal.flush()
        except DomainError as error:
            for call_id in call_ids:
                self._withdraw(call_id, error.message)
            raise
        for call_id in call_ids:
            live = self._kernel.calls.get(call_id)
            if live is not None:
                self._abandoned.expect(live.call)
                self._kernel.calls.leave_resting(call_id)

    def _withdraw(self, call_id: str, reason: str) -> None:
        if call_id in self._kernel.calls:
            self._kernel.apply(CallCancelled(call_id, f"it could not be recorded: {reason}"))

    async def _named(self, new: NewCall) -> NewCall:
        """Give the call the id of its idempotency key, or a new one where it has neither."""
        new.options.check()
        if new.call_id:
            return new
        key = new.options.idempotency_key
        if not key:
            return replace(new, call_id=new_call_id(self._kernel.clock.now()))
        function = await self._archive.require_function(new.function_id, new.call_id)
        call_id = keyed_call_id(
            function.workspace, function.environment, function.app_name, function.name, key
        )
        return replace(new, call_id=call_id, is_repeat=True)

    async def _ended(self, calls: Sequence[NewCall]) -> Ended:
        """Return the final states of those calls that these come after and that are over."""
        own = {new.call_id for new in calls}
        others = dict.fromkeys(o for new in calls for o in new.options.after if o not in own)
        ended: dict[str, str] = {}
        while True:
            unknown = []
            for other in others:
                live = self._kernel.calls.get(other)
                if live is not None and live.ending:
                    ended[other] = live.ending
                elif live is None and other not in ended:
                    unknown.append(other)
            if not unknown:
                return tuple(ended.items())
            stored = await self._archive.states(unknown)
            ended.update((other, state) for other, state in stored.items() if state)
            for other in unknown:
                if other not in stored:
                    await self._archive.require_call(other)

    def _is_callable(self, function_id: str) -> bool:
        self._kernel.journal.require_working()
        function = self._kernel.dispatcher.function(function_id)
        return function is not None and self._apps.is_running(function.app_id)

    async def _require_callable(self, new: NewCall) -> bool:
        """Raise where the function takes no calls; return whether it takes this one although its app is stopped."""
        function = await self._archive.require_function(new.function_id, new.call_id)
        held = self._versions.of_app(function.app_id) if new.options.any_version else None
        is_stopped = held is not None and held[0].serving != held[1].number
        if not is_stopped:
            await self._apps.require_running(function.app_id)
        # Known until it has been idle for a while; the call that comes with it keeps it.
        if function.is_on_demand:
            # Unless what is written before the call takes it away; a repeat is harmless.
            self._kernel.journal.write((SaveFunction(function),))
        if is_stopped or function.is_on_demand:
            self._kernel.apply(FunctionRegistered(function, is_stopped=is_stopped))
        return is_stopped

    async def _find_repeated(self, new: NewCall) -> StoredCall | None:
        # A look into the store costs a warm call a third of its time, so only a possible repeat gets one.
        if new.is_repeat or new.call_id in self._kernel.recent:
            return await self._archive.call(new.call_id)
        return None

    async def _find_ended(self, new: NewCall) -> StoredCall | None:
        return None if new.call_id in self._kernel.calls else await self._find_repeated(new)

    async def _only_outcome(self, call: StoredCall) -> OutcomeRow:
        row = await self._archive.outcome(make_input_id(call.call_id, 0))
        if row is None or call.kind is not CallKind.SINGLE:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"Call {call.call_id} is a {call.kind} with no single outcome: follow it.",
            )
        return row


def _in_order(calls: list[tuple[NewCall, Inputs]]) -> list[tuple[NewCall, Inputs]]:
    """Put calls behind those of them that they come after; raises `DomainError` for a cycle."""
    by_id = {new.call_id: (new, inputs) for new, inputs in calls}
    after = {
        new.call_id: [other for other in new.options.after if other in by_id] for new, _ in calls
    }
    cycle = find_cycle(after)
    if cycle:
        path = " <- ".join([*cycle, cycle[0]])
        raise DomainError(ErrorCode.INVALID, f"These calls would wait for one another: {path}.")
    waits = {call_id: len(others) for call_id, others in after.items()}
    dependants: dict[str, list[str]] = {}
    for call_id, others in after.items():
        for other in others:
            dependants.setdefault(other, []).append(call_id)
    ready = [call_id for call_id, count in waits.items() if not count]
    for call_id in ready:
        for dependant in dependants.get(call_id, ()):
            waits[dependant] -= 1
            if not waits[dependant]:
                ready.append(dependant)
    return [by_id[call_id] for call_id in ready]


def _cancelled(instruction: Instruction, call_id: str) -> int:
    if isinstance(instruction, RecordOutcomes):
        return sum(
            one.call_id == call_id and one.state is InputState.CANCELLED
            for one in instruction.outcomes
        )
    if isinstance(instruction, RecordRuns):
        return sum(one.count for one in instruction.runs if one.call_id == call_id)
    return 0
