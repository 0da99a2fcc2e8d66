"""Every tick of a schedule is decided exactly once, however often its server dies between deciding and writing it down."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from offload.control.core.schedules import (
    Decision,
    Missed,
    Overlap,
    RunState,
    Schedule,
    ScheduledRun,
    ScheduleKey,
    ScheduleSpec,
    decide,
    due_at,
    resumed,
)
from offload.control.services.calendars import PeriodCalendar

SEEDS = 300
END = 3_000.0


@dataclass
class Disk:
    """What survives a crash: the schedule, what became of its ticks, and the calls, open ones by when they end."""

    schedule: Schedule
    runs: list[ScheduledRun] = field(default_factory=list)
    open_until: dict[float, float] = field(default_factory=dict)

    def commit(self, decision: Decision, now: float, durations: list[float]) -> None:
        """Keep a decision as a whole."""
        self.schedule = decision.schedule
        self.runs += decision.others
        for fire, duration in zip(decision.fires, durations, strict=True):
            self.runs.append(ScheduledRun(fire.tick, now, RunState.FIRED, f"fc-{fire.tick}"))
            begins = max([now, *self.open_until.values()]) if fire.waits else now
            self.open_until[fire.tick] = begins + duration


def play(seed: int) -> tuple[Disk, PeriodCalendar, list[float]]:
    """Run a server that crashes, sleeps and stalls over a schedule; return what is on its disk and when it was paused."""
    rng = random.Random(seed)  # noqa: S311
    spec = ScheduleSpec(
        period_seconds=rng.choice((7.0, 60.0, 200.0)),
        missed=rng.choice(list(Missed)),
        max_missed=rng.choice((1, 3, 1000)),
        overlap=rng.choice(list(Overlap)),
        jitter_seconds=rng.choice((0.0, 0.0, 5.0, 90.0)),
    )
    key = ScheduleKey("default", "main", "shop", f"f{seed}")
    disk = Disk(Schedule(key, spec, 0.0, 0.0, b""))
    calendar = PeriodCalendar(0.0, spec.period_seconds)
    resumptions: list[float] = []
    now = 0.0
    while now < END:
        open_runs = sum(end > now for end in disk.open_until.values())
        decision = decide(disk.schedule, calendar, now, open_runs)
        durations = [rng.choice((0.5, 20.0, 300.0)) for _ in decision.fires]
        if rng.random() < 0.75:
            disk.commit(decision, now, durations)
        # Otherwise it dies with its decision, and the next server starts from the disk.
        if rng.random() < 0.02 and not resumptions:
            now += rng.uniform(0, 500)
            disk.schedule = resumed(disk.schedule, now)
            resumptions.append(now)
        wake_at = decision.wake_at if decision.wake_at is not None else now + 1
        now = max(wake_at, now) + rng.choice((0.0, 0.0, 0.001, 30.0, 200.0, 700.0))
    return disk, calendar, resumptions


@pytest.mark.parametrize("block", range(6))
def test_every_tick_is_decided_exactly_once_whatever_crashes(block: int) -> None:
    for seed in range(block * SEEDS // 6, (block + 1) * SEEDS // 6):
        disk, calendar, resumptions = play(seed)
        schedule = disk.schedule
        ticks = [run.tick for run in disk.runs]

        assert len(ticks) == len(set(ticks)), f"seed {seed}: a tick was decided twice"
        assert max(ticks, default=0.0) <= schedule.cursor
        if not resumptions:
            # Of the missed ones only the last are told of, but no tick that had to fire is lost.
            expected, tick = [], calendar.after(0.0)
            while tick is not None and tick <= schedule.cursor:
                expected.append(tick)
                tick = calendar.after(tick)
            silent = set(expected) - set(ticks)
            assert set(ticks) <= set(expected), f"seed {seed}: a tick came out of nowhere"
            assert (
                not silent
                or schedule.spec.missed is not Missed.ALL
                or (schedule.spec.max_missed < 1000)
            ), f"seed {seed}: {sorted(silent)[:3]} were lost"


@pytest.mark.parametrize("block", range(6))
def test_a_tick_never_fires_before_its_time_and_overlaps_only_where_it_may(block: int) -> None:
    for seed in range(block * SEEDS // 6, (block + 1) * SEEDS // 6):
        disk, _, _ = play(seed)
        fired = [run for run in disk.runs if run.state is RunState.FIRED]

        assert all(due_at(disk.schedule, run.tick) <= run.at for run in fired)
        if disk.schedule.spec.overlap is Overlap.SKIP:
            for run in fired:
                others = [
                    r for r in fired if r.tick < run.tick and disk.open_until[r.tick] > run.at
                ]
                assert not others, f"seed {seed}: {run.tick} ran beside {others[0].tick}"


def test_some_runs_crash_and_some_ticks_are_missed_and_skipped() -> None:
    states = {run.state for seed in range(60) for run in play(seed)[0].runs}

    assert states == {RunState.FIRED, RunState.MISSED, RunState.SKIPPED}
