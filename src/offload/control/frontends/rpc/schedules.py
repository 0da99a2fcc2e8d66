"""The service `Schedules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.model import DEFAULT_ENVIRONMENT, DEFAULT_WORKSPACE
from offload.control.core.schedules import MAX_MISSED, Missed, Overlap, ScheduleKey, ScheduleSpec
from offload.control.frontends.rpc.errors import invalid
from offload.wire.gen import common_pb2, schedules_pb2

if TYPE_CHECKING:
    from offload.control.services.assembly import Services
    from offload.control.services.schedules import ScheduleView
    from offload.wire.rpc import RequestContext

_MISSED = {
    schedules_pb2.MISSED_RUNS_LATEST: Missed.LATEST,
    schedules_pb2.MISSED_RUNS_SKIP: Missed.SKIP,
    schedules_pb2.MISSED_RUNS_ALL: Missed.ALL,
}
_OVERLAP = {
    schedules_pb2.OVERLAP_ALLOW: Overlap.ALLOW,
    schedules_pb2.OVERLAP_SKIP: Overlap.SKIP,
    schedules_pb2.OVERLAP_QUEUE: Overlap.QUEUE,
}
_MISSED_TO_WIRE = {missed: number for number, missed in _MISSED.items()}
_OVERLAP_TO_WIRE = {overlap: number for number, overlap in _OVERLAP.items()}


class SchedulesHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._schedules = services.schedules

    async def list_schedules(
        self, request: schedules_pb2.ListSchedulesRequest, _context: RequestContext
    ) -> schedules_pb2.ListSchedulesReply:
        """See `Schedules.ListSchedules`."""
        found = await self._schedules.list(
            request.workspace or DEFAULT_WORKSPACE, request.environment, request.app
        )
        return schedules_pb2.ListSchedulesReply(schedules=map(_description, found))

    async def pause_schedule(
        self, request: schedules_pb2.ScheduleName, _context: RequestContext
    ) -> schedules_pb2.ScheduleDescription:
        """See `Schedules.PauseSchedule`."""
        return _description(await self._schedules.pause(_key(request)))

    async def resume_schedule(
        self, request: schedules_pb2.ScheduleName, _context: RequestContext
    ) -> schedules_pb2.ScheduleDescription:
        """See `Schedules.ResumeSchedule`."""
        return _description(await self._schedules.resume(_key(request)))

    async def run_schedule(
        self, request: schedules_pb2.ScheduleName, _context: RequestContext
    ) -> schedules_pb2.RunScheduleReply:
        """See `Schedules.RunSchedule`."""
        return schedules_pb2.RunScheduleReply(call_id=await self._schedules.run_now(_key(request)))


def spec_of(function: str, schedule: schedules_pb2.Schedule) -> ScheduleSpec:
    """Return the schedule that a function asks for."""
    if schedule.missed not in _MISSED or schedule.overlap not in _OVERLAP:
        raise invalid(f"The schedule of function {function!r} has a policy that nobody knows.")
    if schedule.args.HasField("blob"):
        raise invalid(f"The arguments of the schedule of function {function!r} are too large.")
    return ScheduleSpec(
        schedule.cron,
        schedule.timezone or "UTC",
        schedule.period_seconds,
        _MISSED[schedule.missed],
        schedule.max_missed or MAX_MISSED,
        _OVERLAP[schedule.overlap],
        schedule.jitter_seconds,
    )


def _key(name: schedules_pb2.ScheduleName) -> ScheduleKey:
    return ScheduleKey(
        name.workspace or DEFAULT_WORKSPACE,
        name.environment or DEFAULT_ENVIRONMENT,
        name.app,
        name.function,
    )


def _description(view: ScheduleView) -> schedules_pb2.ScheduleDescription:
    key, spec = view.schedule.key, view.schedule.spec
    return schedules_pb2.ScheduleDescription(
        name=schedules_pb2.ScheduleName(
            app=key.app,
            function=key.function,
            workspace=key.workspace,
            environment=key.environment,
        ),
        schedule=schedules_pb2.Schedule(
            cron=spec.cron,
            timezone=spec.timezone if spec.cron else "",
            period_seconds=spec.period_seconds,
            missed=_MISSED_TO_WIRE[spec.missed],
            max_missed=spec.max_missed if spec.missed is Missed.ALL else 0,
            overlap=_OVERLAP_TO_WIRE[spec.overlap],
            jitter_seconds=spec.jitter_seconds,
            args=common_pb2.Payload.FromString(view.schedule.args),
        ),
        is_paused=view.schedule.is_paused,
        next_at=view.next_at,
        runs=[
            schedules_pb2.ScheduledRun(
                tick=run.tick,
                at=run.at,
                state=run.state.value,
                call_id=run.call_id,
                reason=run.reason,
                outcome=outcome,
            )
            for run, outcome in view.runs
        ],
    )
