"""Functions that run by themselves: decides what is due, and writes each decision in one commit with the calls it makes.

A call is only dispatched once that commit is on disk. So whenever the server dies, a tick is either decided, and its call
comes back with everything else that is unfinished, or it is not, and the next server decides it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from offload.control.core import schedules as core
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import FunctionRegistered
from offload.control.core.ids import keyed_call_id
from offload.control.core.model import Call, CallKind
from offload.control.core.schedules import RunState, Schedule, ScheduledRun, ScheduleKey
from offload.control.ports.records import KEPT_RUNS, RemoveSchedule, SaveRun, SaveSchedule
from offload.control.services.calendars import calendar_of, check_spec
from offload.control.services.submission import NewInput, new_call_id, record, tell
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.core.deployments import AppVersion, Deployment, VersionSchedule
    from offload.control.core.model import Function
    from offload.control.core.schedules import Calendar
    from offload.control.ports.records import Record
    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.versions import Versions

# The longest time between two looks: a clock that somebody set, or a machine that slept, is noticed by then.
LONGEST_PAUSE_SECONDS = 20.0
RETRY_SECONDS = 0.5

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A schedule with its last runs, the oldest first. `wake_at` is when it is to be looked at; None: never."""

    schedule: Schedule
    calendar: Calendar
    runs: list[ScheduledRun] = field(default_factory=list)
    wake_at: float | None = 0.0


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule, for people: its runs newest first, each with how its call ended, empty where it made none."""

    schedule: Schedule
    next_at: float  # 0: never, or while paused
    runs: tuple[tuple[ScheduledRun, str], ...]


class Schedules:
    """Fires what is due for the versions that serve."""

    def __init__(
        self,
        kernel: Kernel,
        archive: Archive,
        versions: Versions,
        known: Iterable[tuple[Schedule, tuple[ScheduledRun, ...]]],
    ) -> None:
        self._kernel = kernel
        self._archive = archive
        self._versions = versions
        self._held = {
            schedule.key: _Held(schedule, calendar_of(schedule), list(runs))
            for schedule, runs in known
        }
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether something is to run by itself, sooner or later."""
        return any(held.wake_at is not None for held in self._held.values())

    def start(self) -> None:
        """Begin to fire. What a server before this one left undone is done first."""
        for deployment in self._versions.list():
            self.follow(deployment)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop. Idempotent, legal before the start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    @staticmethod
    def check(wanted: VersionSchedule) -> None:
        """Raise `DomainError` for a schedule that cannot be meant."""
        check_spec(wanted.function, wanted.spec)

    def follow(self, deployment: Deployment) -> None:
        """Have the schedules of the version that serves, and no others of this app. Written behind."""
        now = self._kernel.clock.now()
        serving = deployment.serving_version
        wanted = {_key(deployment, each): each for each in serving.schedules} if serving else {}
        records: list[Record] = []
        for key in [key for key in self._held if _is_of(key, deployment)]:
            if serving is None:
                self._held[key].wake_at = None
            elif key not in wanted:
                del self._held[key]
                records.append(RemoveSchedule(key))
        for key, each in wanted.items():
            held = self._held.get(key)
            before = held.schedule if held is not None else None
            if held is not None and held.wake_at is None and not held.schedule.is_paused:
                before = core.resumed(held.schedule, now)  # it did not serve meanwhile
            after = core.renewed(before, key, each.spec, each.args, now)
            runs = held.runs if held is not None else []
            self._held[key] = _Held(after, calendar_of(after), runs)
            if held is None or after != held.schedule:
                records.append(SaveSchedule(after))
        self._kernel.journal.write(records)
        self._changed.set()

    def look(self) -> float | None:
        """Do what is due now; return when to look again."""
        now = self._kernel.clock.now()
        for held in self._held.values():
            if held.wake_at is not None and held.wake_at <= now:
                self._decide(held, now)
        return min((h.wake_at for h in self._held.values() if h.wake_at is not None), default=None)

    async def list(self, workspace: str, environment: str, app: str) -> list[ScheduleView]:
        """List the schedules of a workspace, with their last runs."""
        found = [
            held
            for key, held in self._held.items()
            if key.workspace == workspace
            and environment in ("", key.environment)
            and app in ("", key.app)
        ]
        return [await self._view(held) for held in found]

    async def pause(self, key: ScheduleKey) -> ScheduleView:
        """Fire nothing until it is resumed. Idempotent."""
        held = self._require(key)
        return await self._change(held, replace(held.schedule, is_paused=True))

    async def resume(self, key: ScheduleKey) -> ScheduleView:
        """Fire again, from the next tick on. Idempotent."""
        held = self._require(key)
        if not held.schedule.is_paused:
            return await self._view(held)
        return await self._change(held, core.resumed(held.schedule, self._kernel.clock.now()))

    async def run_now(self, key: ScheduleKey) -> str:
        """Call the function as the schedule would; return the call's id once it is on disk."""
        held = self._require(key)
        self._kernel.journal.require_working()
        version, function = self._function(key)
        if version is None or function is None:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"App {key.app!r} is stopped, so nothing of it runs: deploy it again.",
            )
        now = self._kernel.clock.now()
        call = _call(new_call_id(now), function, now, ())
        run = ScheduledRun(now, now, RunState.MANUAL, call.call_id)
        self._fire(held, function, call, run)
        await self._kernel.journal.flush()
        return call.call_id

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                pause = self._pause(self.look())
            except DomainError as error:
                log_event(_log, logging.ERROR, "schedules_failed", reason=error.message)
                pause = RETRY_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _pause(self, wake_at: float | None) -> float:
        if wake_at is None:
            return LONGEST_PAUSE_SECONDS
        return min(LONGEST_PAUSE_SECONDS, max(0.0, wake_at - self._kernel.clock.now()))

    def _decide(self, held: _Held, now: float) -> None:
        if self._kernel.journal.failure:
            held.wake_at = now + RETRY_SECONDS  # a disk in trouble: what is due is due later too
            return
        schedule = held.schedule
        version, function = self._function(schedule.key)
        if version is None or function is None:
            held.wake_at = None
            return
        open_runs = [r.call_id for r in held.runs if r.call_id in self._kernel.calls]
        decision = core.decide(schedule, held.calendar, now, len(open_runs))
        held.wake_at = decision.wake_at
        if decision.schedule is schedule:
            return
        held.schedule = decision.schedule
        self._kernel.journal.write([SaveSchedule(decision.schedule)])
        for run in decision.others:
            self._note(held, run)
        for fire in decision.fires:
            call_id = keyed_call_id(*schedule.key, "schedule", f"{fire.tick:.3f}")
            after = (open_runs[-1],) if fire.waits else ()
            self._fire(
                held, function, _call(call_id, function, now, after), _fired(fire, now, call_id)
            )
            open_runs.append(call_id)

    def _fire(self, held: _Held, function: Function, call: Call, run: ScheduledRun) -> None:
        self._note(held, run)
        only = NewInput(0, held.schedule.args)
        record(self._kernel, call, (only,), closed=True)
        self._kernel.journal.after_commit(partial(self._dispatch, function, call))

    def _dispatch(self, function: Function, call: Call) -> None:
        # Another version may have taken over in the meantime, and the call before may have ended.
        dispatcher = self._kernel.dispatcher
        if dispatcher.function(function.function_id) is None:
            self._kernel.apply(FunctionRegistered(function, is_stopped=True))
        ended = tuple((c, "succeeded") for c in call.after if not dispatcher.knows_call(c))
        tell(self._kernel, call, (range(1),), closed=True, ended=ended, although_stopped=True)

    def _note(self, held: _Held, run: ScheduledRun) -> None:
        held.runs.append(run)
        held.runs.sort(key=lambda each: each.tick)
        del held.runs[:-KEPT_RUNS]
        self._kernel.journal.write([SaveRun(held.schedule.key, run)])
        log_event(
            _log, logging.INFO, "schedule_tick", app=held.schedule.key.app,
            function=held.schedule.key.function, tick=run.tick, state=run.state, call_id=run.call_id,
        )  # fmt: skip

    def _function(self, key: ScheduleKey) -> tuple[AppVersion | None, Function | None]:
        deployment = self._versions.get(core.app_of(key))
        serving = deployment.serving_version if deployment is not None else None
        function_id = serving.function_id(key.function) if serving is not None else None
        if function_id is None:
            return None, None
        return serving, self._kernel.dispatcher.function(function_id)

    def _require(self, key: ScheduleKey) -> _Held:
        held = self._held.get(key)
        if held is None:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"Function {key.function!r} of app {key.app!r} in environment {key.environment!r} has no schedule: "
                "`offload schedule ls` lists those there are.",
            )
        return held

    async def _change(self, held: _Held, schedule: Schedule) -> ScheduleView:
        self._kernel.journal.require_working()
        held.schedule = schedule
        held.wake_at = self._kernel.clock.now()
        await self._kernel.journal.durable([SaveSchedule(schedule)])
        self._changed.set()
        return await self._view(held)

    async def _view(self, held: _Held) -> ScheduleView:
        runs = tuple(reversed(held.runs))
        called = [run.call_id for run in runs if run.call_id]
        states = await self._archive.states(called)
        next_at = None
        if held.wake_at is not None and not held.schedule.is_paused:
            next_at = core.next_at(held.schedule, held.calendar)
        return ScheduleView(
            held.schedule, next_at or 0.0, tuple((run, self._outcome(run, states)) for run in runs)
        )

    def _outcome(self, run: ScheduledRun, states: dict[str, str]) -> str:
        if not run.call_id:
            return ""
        if run.call_id in self._kernel.calls:
            return "running"
        return states.get(run.call_id, "expired") or "running"


def _call(call_id: str, function: Function, now: float, after: tuple[str, ...]) -> Call:
    kind = CallKind.GENERATOR if function.is_generator else CallKind.SINGLE
    return Call(
        call_id, function.function_id, kind, now, attached=False, durable=True,
        after=after, run_anyway=bool(after),
    )  # fmt: skip


def _fired(fire: core.Fire, now: float, call_id: str) -> ScheduledRun:
    reason = "waits for the run before it" if fire.waits else ""
    return ScheduledRun(fire.tick, now, RunState.FIRED, call_id, reason)


def _key(deployment: Deployment, wanted: VersionSchedule) -> ScheduleKey:
    return ScheduleKey(*deployment.key, wanted.function)


def _is_of(key: ScheduleKey, deployment: Deployment) -> bool:
    return key[:3] == tuple(deployment.key)
