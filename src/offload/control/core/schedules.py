"""When functions run by themselves: which of a schedule's ticks fire now, and when to look again. Pure.

A tick is a time that the schedule names, whatever happens then. Ticks are decided in their order, each once: `cursor` is
the last one that was. Who carries a decision out writes the new cursor, the call of each tick that fires and what became
of the others in one commit, so that a crash leaves all of it or nothing, and the next server decides the same again.
"""

from __future__ import annotations

import enum
import zlib
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from offload.control.core.model import DeploymentKey

# A tick that fires later than this was missed: the server was away, or the machine slept.
ON_TIME_SECONDS = 60.0
# Runs of one schedule that may wait for one another; what comes on top is skipped, or nobody would ever see the end.
MAX_QUEUED_RUNS = 100
# Of ticks that passed, so many are looked at one by one; a schedule that was away for a year leaves out the rest.
MAX_TICKS = 1_000
# Of ticks that all fire, so many unless the schedule says otherwise.
MAX_MISSED = 100
# Missed ticks of one decision that are told of.
MAX_TOLD = 20


class Missed(enum.StrEnum):
    """What becomes of ticks that passed while nothing could fire."""

    LATEST = "latest"  # the latest of them fires
    SKIP = "skip"
    ALL = "all"  # each fires, up to `max_missed` of the latest


class Overlap(enum.StrEnum):
    """What becomes of a tick while a run before it has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"  # it runs once that one has ended, however it did


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """When to run: by a cron expression in a time zone, or every so many seconds."""

    cron: str = ""
    timezone: str = "UTC"
    period_seconds: float = 0.0
    missed: Missed = Missed.LATEST
    max_missed: int = MAX_MISSED
    overlap: Overlap = Overlap.ALLOW
    jitter_seconds: float = 0.0


class ScheduleKey(NamedTuple):
    """Which function of which deployed app."""

    workspace: str
    environment: str
    app: str
    function: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it is kept."""

    key: ScheduleKey
    spec: ScheduleSpec
    anchor: float  # when it began; periods are counted from here
    cursor: float  # the last tick that was decided
    args: bytes  # the encoded Payload that it is called with
    is_paused: bool = False


def app_of(key: ScheduleKey) -> DeploymentKey:
    """Return the app whose schedule it is."""
    return DeploymentKey(key.workspace, key.environment, key.app)


class RunState(enum.StrEnum):
    """What became of a tick."""

    FIRED = "fired"
    SKIPPED = "skipped"  # a run before it had not ended
    MISSED = "missed"  # nothing could fire at its time
    MANUAL = "manual"  # no tick: a person asked for it


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """What became of one tick, with the call where it fired."""

    tick: float
    at: float
    state: RunState
    call_id: str = ""
    reason: str = ""


class Calendar(Protocol):
    """Knows the ticks of one schedule."""

    def after(self, moment: float) -> float | None:
        """Return the first tick later than this; None where there is none for years."""
        ...


class Fire(NamedTuple):
    """A tick that fires; `waits` says that it runs once the run before it has ended."""

    tick: float
    waits: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. `wake_at` is when to decide again; None: never, as things are."""

    schedule: Schedule  # with its new cursor
    fires: tuple[Fire, ...]
    others: tuple[ScheduledRun, ...]
    wake_at: float | None


def decide(schedule: Schedule, calendar: Calendar, now: float, open_runs: int) -> Decision:
    """Decide all ticks that are due; `open_runs` is how many calls of the schedule have not ended."""
    if schedule.is_paused:
        return Decision(schedule, (), (), None)
    due, wake_at = _due(schedule, calendar, now)
    # Of several that are due together, only the last can be on time: the others were missed with what kept them.
    is_on_time = bool(due) and due_at(schedule, due[-1]) + ON_TIME_SECONDS >= now
    passed, wanted = (due[:-1], due[-1:]) if is_on_time else (due, [])
    chosen, missed = _choose(schedule.spec, passed, is_followed=bool(wanted))
    others = [
        ScheduledRun(
            tick, now, RunState.MISSED, reason="its time passed while nothing could run it"
        )
        for tick in missed[-MAX_TOLD:]
    ]
    fires: list[Fire] = []
    for tick in [*chosen, *wanted]:
        refusal = _refusal(schedule.spec, open_runs + len(fires))
        if refusal:
            others.append(ScheduledRun(tick, now, RunState.SKIPPED, reason=refusal))
        else:
            queues = schedule.spec.overlap is Overlap.QUEUE and open_runs + len(fires) > 0
            fires.append(Fire(tick, queues))
    others.sort(key=lambda run: run.tick)
    after = replace(schedule, cursor=due[-1]) if due else schedule
    return Decision(after, tuple(fires), tuple(others), wake_at)


def due_at(schedule: Schedule, tick: float) -> float:
    """Return when a tick fires: so much later than its time as the jitter says, the same for every server."""
    jitter = schedule.spec.jitter_seconds
    if not jitter:
        return tick
    seed = "\0".join((*schedule.key, f"{tick:.3f}"))
    return tick + jitter * zlib.crc32(seed.encode()) / 0xFFFFFFFF


def next_at(schedule: Schedule, calendar: Calendar) -> float | None:
    """Return when the next tick fires."""
    tick = calendar.after(schedule.cursor)
    return None if tick is None else due_at(schedule, tick)


def renewed(
    before: Schedule | None, key: ScheduleKey, spec: ScheduleSpec, args: bytes, now: float
) -> Schedule:
    """Return the schedule of a function that is deployed: one that says the same goes on where it was."""
    if before is None:
        return Schedule(key, spec, now, now, args)
    if _times(before.spec) == _times(spec):
        return replace(before, spec=spec, args=args)
    return replace(before, spec=spec, args=args, anchor=now, cursor=now)


def resumed(schedule: Schedule, now: float) -> Schedule:
    """Return it no longer paused. What passed meanwhile was not missed but not wanted."""
    return replace(schedule, is_paused=False, cursor=max(schedule.cursor, now))


def _due(schedule: Schedule, calendar: Calendar, now: float) -> tuple[list[float], float | None]:
    """Return the ticks that are due, at least the last `MAX_TICKS` of them, and when the next one is."""
    cursor = schedule.cursor
    due, following = _page(schedule, calendar, cursor, now)
    while following is not None and due_at(schedule, following) <= now:
        middle = (following + now) / 2
        later, after_later = _page(schedule, calendar, middle, now)
        if len(later) < MAX_TICKS:  # too few to leave out what is between
            later, after_later = _page(schedule, calendar, due[-1], now)
            due = [*due, *later]
        else:
            due = later
        following = after_later
    return due, None if following is None else due_at(schedule, following)


def _page(
    schedule: Schedule, calendar: Calendar, after: float, now: float
) -> tuple[list[float], float | None]:
    due: list[float] = []
    tick = calendar.after(after)
    while tick is not None and due_at(schedule, tick) <= now and len(due) < MAX_TICKS:
        due.append(tick)
        tick = calendar.after(tick)
    return due, tick


def _choose(
    spec: ScheduleSpec, passed: list[float], *, is_followed: bool
) -> tuple[list[float], list[float]]:
    """Part the ticks that passed into those that fire all the same and those that do not."""
    count = 0
    if spec.missed is Missed.ALL:
        count = spec.max_missed
    elif spec.missed is Missed.LATEST and not is_followed:
        count = 1
    at = max(0, len(passed) - count)
    return passed[at:], passed[:at]


def _refusal(spec: ScheduleSpec, ahead: int) -> str:
    if spec.overlap is Overlap.SKIP and ahead:
        return "a run before it had not ended"
    if spec.overlap is Overlap.QUEUE and ahead >= MAX_QUEUED_RUNS:
        return f"{MAX_QUEUED_RUNS} runs before it had not ended"
    return ""


def _times(spec: ScheduleSpec) -> tuple[str, str, float]:
    return spec.cron, spec.timezone, spec.period_seconds
