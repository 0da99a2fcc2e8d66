"""The dispatcher's hands: events go in, and what it decides is recorded, sent and shown.

What a stream shows is on disk; only the caller of `Run`, who keeps the input, is answered at once. Payloads stay in
memory until their input ends, up to a bound; beyond it those on disk are dropped and read again when they are handed out.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError
from offload.control.core.events import Event, Tick
from offload.control.core.instructions import (
    Assign,
    AttemptStarting,
    CallCompleted,
    CancelInputs,
    ForgetFunction,
    ForgetWorker,
    Instruction,
    RecordHistory,
    RecordOutcomes,
    RecordRuns,
    StartContainer,
    StopContainer,
    Task,
)
from offload.control.ports.records import (
    DropItems,
    FinishCall,
    InputRow,
    ItemRow,
    OutcomeRow,
    RemoveWorker,
    SaveHistory,
    SaveItems,
    SaveOutcomeRun,
    SaveOutcomes,
)
from offload.control.services.feeds import Topic
from offload.control.services.journal import SHOWN_SECONDS, WRITE_BEHIND_SECONDS
from offload.control.services.live import LiveCalls
from offload.control.services.payloads import Payloads
from offload.control.services.recent import RecentIds
from offload.control.telemetry import Telemetry, log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from offload.control.core.dispatch import Dispatcher
    from offload.control.core.model import Call
    from offload.control.ports.clock import Clock
    from offload.control.services.journal import Journal
    from offload.control.services.live import LiveCall
    from offload.control.services.reading import Reading
    from offload.control.services.sessions import WorkerSession

# How soon payloads are read again that the store could not give. A guess: a disk in trouble is not mended in less.
RETRY_READING_SECONDS = 1.0
# A clock is kept right by less than this all the time; more is a clock that was set, or a machine that slept.
NOTICED_SECONDS = 1.0
# Inputs behind those that are read because they are handed out: read with them, they cost little, and the next ones to be
# handed out find them in memory. Measured with a million pending: 0.39 ms for each input without it, 0.16 ms with it.
READ_AHEAD = 512

_log = logging.getLogger(__name__)


class Kernel:
    """Applies events to the dispatcher and does what it answers."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        journal: Journal,
        reading: Reading,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self.dispatcher = dispatcher
        self.journal = journal
        self.clock = clock
        self.calls = LiveCalls(dispatcher)
        self.sessions: dict[str, WorkerSession] = {}
        self.items: dict[str, Topic[ItemRow]] = {}
        self.payloads = Payloads(reading)
        self.recent = RecentIds()
        self.revision = 0  # rises with every event: whoever polls the dispatcher's views may skip
        self.on_call_end: Callable[[str], None] = lambda _: None
        self._telemetry = telemetry
        self._attempts: dict[str, int] = {}  # the current attempt of each generator input
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._loads: set[asyncio.Task[None]] = set()
        self._is_answering = True
        self._actions = {
            Assign: self._assign,
            RecordOutcomes: self._record_outcomes,
            RecordRuns: self._record_runs,
            RecordHistory: self._record_history,
            CallCompleted: self._complete,
            StartContainer: self._start_container,
            StopContainer: self._stop_container,
            CancelInputs: self._cancel_inputs,
            AttemptStarting: self._void_items,
            ForgetFunction: self._forget_function,
            ForgetWorker: self._forget_worker,
        }

    def apply(self, event: Event) -> list[Instruction]:
        """Tell the dispatcher, and do what it wants; raises `DomainError` for a refused event."""
        now = self.clock.steady()
        instructions = self.dispatcher.apply(event, now)
        self.revision += 1
        for instruction in instructions:
            self._actions[type(instruction)](instruction)  # type: ignore[operator]
        self._arm(now)
        return instructions

    @property
    def drift_seconds(self) -> float:
        """How far the time that people see is ahead of the dispatcher's; 0 where nobody would notice."""
        drift = self.clock.now() - self.clock.steady()
        return drift if abs(drift) > NOTICED_SECONDS else 0.0

    def keep_items(self, rows: Sequence[tuple[ItemRow, int]]) -> None:
        """Write items, each given with its attempt; those of an attempt that is not current are void."""
        kept = tuple(row for row, attempt in rows if self._attempts.get(row.input_id) == attempt)
        if not kept:
            return
        self.journal.write((SaveItems(kept),), SHOWN_SECONDS)
        self.journal.after_commit(partial(self._publish_items, kept))

    def answer_later(self) -> None:
        """Let go out first what is on its way to followers: an input's output comes before its result."""
        self._is_answering = False
        self._loop.call_soon(self._answer_at_once)

    def _answer_at_once(self) -> None:
        self._is_answering = True

    def adopt_attempt(self, input_id: str, attempt: int) -> None:
        """Take note of an attempt that a joining worker has in hand."""
        if self.dispatcher.is_open(input_id):
            self._attempts[input_id] = attempt

    def close(self) -> None:
        """Stop the timer and what is being read. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        for load in self._loads:
            load.cancel()

    def _arm(self, now: float) -> None:
        wakeup = self.dispatcher.next_wakeup()
        if wakeup is None:
            return
        if self._timer is not None:
            if self._timer_at <= wakeup:
                return
            self._timer.cancel()
        self._timer_at = wakeup
        self._timer = self._loop.call_later(max(0.001, wakeup - now), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.apply(Tick())

    def _assign(self, order: Assign) -> None:
        session = self.sessions.get(order.worker_id)
        function = self.dispatcher.function(order.function_id)
        if session is None or function is None:
            return
        ready: list[tuple[Task, bytes]] = []
        missing: list[Task] = []
        for task in order.tasks:
            if function.is_generator:
                self._attempts[task.input_id] = task.attempt
            payload = self.payloads.get(task.input_id)
            if payload is None:
                missing.append(task)
            else:
                ready.append((task, payload))
        if ready:
            session.assign(function, ready)
        if missing:
            load = self._loop.create_task(self._assign_stored(session, order, missing))
            self._loads.add(load)
            load.add_done_callback(self._loads.discard)

    async def _assign_stored(
        self, session: WorkerSession, order: Assign, tasks: list[Task]
    ) -> None:
        # An input that ended meanwhile is not sent, and a session that ended meanwhile drops what it gets.
        wanted = [task.input_id for task in tasks]
        ahead = (
            []
            if self.payloads.is_full
            else self.dispatcher.next_inputs(order.function_id, READ_AHEAD)
        )
        while session is self.sessions.get(order.worker_id):
            try:
                payloads = await self.payloads.load(wanted + ahead)
            except DomainError as error:
                log_event(_log, logging.ERROR, "payloads_unreadable", reason=error.message)
                await asyncio.sleep(RETRY_READING_SECONDS)
                continue
            function = self.dispatcher.function(order.function_id)
            if function is not None:
                is_open = self.dispatcher.is_open
                found = [
                    (t, payloads[t.input_id])
                    for t in tasks
                    if t.input_id in payloads and is_open(t.input_id)
                ]
                for input_id in ahead:
                    if input_id in payloads and is_open(input_id):
                        self.payloads.keep(input_id, payloads[input_id])
                session.assign(function, found)
            return

    def _record_outcomes(self, order: RecordOutcomes) -> None:
        now = self.clock.now()
        rows = tuple(
            OutcomeRow(
                o.input_id, o.call_id, o.index, o.seq, o.attempts,
                o.state, o.failure, o.reason, o.body, now, o.blob,
            )
            for o in order.outcomes
        )  # fmt: skip
        is_shown = has_transient = False
        inputs = self._telemetry.inputs
        for row in rows:
            inputs[row.state] += 1
            self.payloads.discard(row.input_id)
            self._attempts.pop(row.input_id, None)
            live = self.calls.get(row.call_id)
            if live is None or live.call.durable:
                is_shown = True
            else:
                has_transient = has_transient or live.call.transient
                self._answer(live, row)
        if has_transient:
            rows = tuple(row for row in rows if not self._is_transient(row.call_id))
            if not rows:
                return
        self.journal.write(
            (SaveOutcomes(rows),), SHOWN_SECONDS if is_shown else WRITE_BEHIND_SECONDS
        )
        self.journal.after_commit(partial(self._publish_outcomes, rows))

    def _is_transient(self, call_id: str) -> bool:
        live = self.calls.get(call_id)
        return live is not None and live.call.transient

    def _publish_outcomes(self, rows: tuple[OutcomeRow, ...]) -> None:
        for call_id, group in groupby(rows, attrgetter("call_id")):
            self._publish_call(call_id, list(group))
        if self.items:
            for row in rows:
                topic = self.items.pop(row.input_id, None)
                if topic is not None:
                    topic.end()

    def _publish_call(self, call_id: str, rows: list[OutcomeRow]) -> None:
        live = self.calls.get(call_id)
        if live is not None:
            live.publish(rows)
            self._answer(live, rows[0])

    def _record_runs(self, order: RecordRuns) -> None:
        now = self.clock.now()
        records = [
            SaveOutcomeRun(
                run.call_id, run.first, run.count, run.first_seq, run.state,
                run.failure, run.reason, run.body, now,
            )
            for run in order.runs
        ]  # fmt: skip
        for run in order.runs:
            self._telemetry.inputs[run.state] += run.count
            self.payloads.discard_run(run.call_id, range(run.first, run.first + run.count))
        self.journal.write(records, SHOWN_SECONDS)
        self.journal.after_commit(partial(self._publish_runs, order))

    def _publish_runs(self, order: RecordRuns) -> None:
        for run in order.runs:
            live = self.calls.get(run.call_id)
            if live is not None:
                live.publish_stored()
        for input_id in tuple(self.items):
            if not self.dispatcher.is_open(input_id):
                self.items.pop(input_id).end()

    def _record_history(self, order: RecordHistory) -> None:
        if self._is_transient(order.call_id):
            return
        history = order.history
        if history.retry_at:
            history = replace(history, retry_at=history.retry_at + self.drift_seconds)
        self.journal.write((SaveHistory(order.call_id, history),))

    def _complete(self, order: CallCompleted) -> None:
        if order.call.transient:
            self.calls.pop(order.call_id)
            self.on_call_end(order.call_id)
            return
        self.journal.write((FinishCall(order.call_id, order.state, self.clock.now()),))
        live = self.calls.get(order.call_id) or self.calls.open(order.call, closed=True)
        live.ending = order.state
        self.journal.after_commit(partial(self._forget_call, order.call_id))

    def _forget_call(self, call_id: str) -> None:
        live = self.calls.pop(call_id)
        if live is not None:
            live.end()
            self.recent.add(call_id)
            self.on_call_end(call_id)

    def _publish_items(self, rows: tuple[ItemRow, ...]) -> None:
        for row in rows:
            topic = self.items.get(row.input_id)
            if topic is not None:
                topic.publish((row,))

    def _void_items(self, order: AttemptStarting) -> None:
        self._attempts[order.input_id] = order.attempt
        self.journal.write((DropItems(order.input_id),))

    def _start_container(self, order: StartContainer) -> None:
        session = self.sessions.get(order.worker_id)
        function = self.dispatcher.function(order.function_id)
        if session is not None and function is not None:
            session.start(order, function)

    def _stop_container(self, order: StopContainer) -> None:
        session = self.sessions.get(order.worker_id)
        if session is not None:
            session.stop(order)

    def _cancel_inputs(self, order: CancelInputs) -> None:
        session = self.sessions.get(order.worker_id)
        if session is not None:
            session.cancel(order.input_ids, order.reason)

    def _forget_function(self, order: ForgetFunction) -> None:
        session = self.sessions.get(order.worker_id)
        if session is not None:
            session.forget(order.function_id)

    def _forget_worker(self, order: ForgetWorker) -> None:
        self.journal.write((RemoveWorker(order.worker_id),))

    def keep_payloads(self, call: Call, rows: Sequence[InputRow]) -> None:
        """Hold the payloads of new inputs for their assignment; call before telling the dispatcher."""
        for row in rows:
            self.payloads.keep(row.input_id, row.payload)
        if call.durable and self.payloads.is_full:
            ids = [row.input_id for row in rows]
            self.journal.after_commit(partial(self.payloads.leave_to_store, ids))

    def _answer(self, live: LiveCall, row: OutcomeRow) -> None:
        for tell in live.take_waiting():
            if self._is_answering:
                tell(row)
            else:
                self._loop.call_soon(tell, row)
