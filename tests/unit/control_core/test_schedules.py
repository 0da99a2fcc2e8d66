"""Which ticks of a schedule fire, are skipped or missed, and when to look again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offload.control.core.schedules import (
    MAX_QUEUED_RUNS,
    Fire,
    Missed,
    Overlap,
    RunState,
    Schedule,
    ScheduleKey,
    ScheduleSpec,
    decide,
    due_at,
    next_at,
    renewed,
    resumed,
)

KEY = ScheduleKey("default", "main", "shop", "report")


class Every:
    """Ticks at the multiples of a number."""

    def __init__(self, seconds: float = 100.0, end: float = 1e12) -> None:
        self._seconds = seconds
        self._end = end
        self.asked = 0

    def after(self, moment: float) -> float | None:
        self.asked += 1
        tick = (moment // self._seconds + 1) * self._seconds
        return tick if tick <= self._end else None


def a_schedule(cursor: float = 1000.0, **changes: object) -> Schedule:
    spec = ScheduleSpec(period_seconds=100.0, **changes)  # type: ignore[arg-type]
    return Schedule(KEY, spec, 0.0, cursor, b"args")


def test_nothing_is_due_before_its_time_and_it_says_when_to_look_again() -> None:
    decision = decide(a_schedule(), Every(), 1050.0, 0)

    assert (decision.fires, decision.others, decision.wake_at) == ((), (), 1100.0)
    assert decision.schedule == a_schedule()


def test_a_tick_that_is_due_fires_once_and_moves_the_cursor() -> None:
    first = decide(a_schedule(), Every(), 1100.0, 0)
    again = decide(first.schedule, Every(), 1100.0, 0)

    assert first.fires == (Fire(1100.0, waits=False),)
    assert (first.schedule.cursor, first.wake_at) == (1100.0, 1200.0)
    assert again.fires == ()


def test_a_clock_that_was_set_back_fires_nothing_again() -> None:
    fired = decide(a_schedule(), Every(), 1100.0, 0).schedule

    assert decide(fired, Every(), 1001.0, 0).fires == ()
    assert decide(fired, Every(), 1100.5, 0).fires == ()


@pytest.mark.parametrize(
    ("missed", "now", "fired", "told"),
    [
        # on time
        (Missed.SKIP, 1130.0, [1100], []),
        (Missed.LATEST, 1130.0, [1100], []),
        (Missed.ALL, 1130.0, [1100], []),
        # more than a minute late
        (Missed.SKIP, 1170.0, [], [1100]),
        (Missed.LATEST, 1170.0, [1100], []),
        (Missed.ALL, 1170.0, [1100], []),
        # several passed, and the last of them is on time
        (Missed.SKIP, 1410.0, [1400], [1100, 1200, 1300]),
        (Missed.LATEST, 1410.0, [1400], [1100, 1200, 1300]),
        (Missed.ALL, 1410.0, [1100, 1200, 1300, 1400], []),
        # several passed, and none is on time
        (Missed.SKIP, 1390.0, [], [1100, 1200, 1300]),
        (Missed.LATEST, 1390.0, [1300], [1100, 1200]),
        (Missed.ALL, 1390.0, [1100, 1200, 1300], []),
    ],
)
def test_what_becomes_of_missed_ticks(
    missed: Missed, now: float, fired: list[int], told: list[int]
) -> None:
    decision = decide(a_schedule(missed=missed), Every(), now, 0)

    assert [fire.tick for fire in decision.fires] == fired
    assert [run.tick for run in decision.others] == told
    assert {run.state for run in decision.others} <= {RunState.MISSED}
    assert decision.schedule.cursor == max([*fired, *told])


def test_all_missed_ticks_fire_up_to_their_bound_the_latest_ones() -> None:
    decision = decide(a_schedule(missed=Missed.ALL, max_missed=2), Every(), 1590.0, 0)

    assert [fire.tick for fire in decision.fires] == [1400.0, 1500.0]
    assert [run.tick for run in decision.others] == [1100.0, 1200.0, 1300.0]


@pytest.mark.parametrize("missed", list(Missed))
def test_a_year_by_the_second_is_decided_at_once_and_by_its_end(missed: Missed) -> None:
    year = 366 * 86_400.0
    calendar = Every(1.0)

    decision = decide(a_schedule(0.0, missed=missed, max_missed=5), calendar, year + 0.5, 0)

    assert decision.schedule.cursor == year
    assert decision.wake_at == year + 1
    wanted = 6 if missed is Missed.ALL else 1
    assert [fire.tick for fire in decision.fires] == [year - n for n in reversed(range(wanted))]
    assert calendar.asked < 100_000


@pytest.mark.parametrize(
    ("overlap", "open_runs", "fires", "skipped"),
    [
        (Overlap.ALLOW, 3, [False], 0),
        (Overlap.SKIP, 0, [False], 0),
        (Overlap.SKIP, 1, [], 1),
        (Overlap.QUEUE, 0, [False], 0),
        (Overlap.QUEUE, 1, [True], 0),
        (Overlap.QUEUE, MAX_QUEUED_RUNS, [], 1),
    ],
)
def test_what_becomes_of_a_tick_while_runs_before_it_are_open(
    overlap: Overlap, open_runs: int, fires: list[bool], skipped: int
) -> None:
    decision = decide(a_schedule(overlap=overlap), Every(), 1100.0, open_runs)

    assert [fire.waits for fire in decision.fires] == fires
    assert [run.state for run in decision.others] == [RunState.SKIPPED] * skipped
    assert decision.schedule.cursor == 1100.0


def test_of_several_ticks_that_fire_together_each_overlaps_the_one_before() -> None:
    skipping = a_schedule(overlap=Overlap.SKIP, missed=Missed.ALL)
    queueing = a_schedule(overlap=Overlap.QUEUE, missed=Missed.ALL)

    skipped = decide(skipping, Every(), 1310.0, 0)
    queued = decide(queueing, Every(), 1310.0, 0)

    assert skipped.fires == (Fire(1100.0, waits=False),)
    assert [run.tick for run in skipped.others] == [1200.0, 1300.0]
    assert [fire.waits for fire in queued.fires] == [False, True, True]


def test_jitter_delays_a_tick_by_the_same_for_every_server_and_within_its_bound() -> None:
    schedule = a_schedule(jitter_seconds=30.0)
    ticks = [1000.0 + 100.0 * n for n in range(200)]

    delays = [due_at(schedule, tick) - tick for tick in ticks]

    assert all(0 <= delay <= 30 for delay in delays)
    assert max(delays) - min(delays) > 20
    assert delays == [due_at(replace(schedule), tick) - tick for tick in ticks]
    assert decide(schedule, Every(), due_at(schedule, 1100.0) - 0.001, 0).fires == ()
    assert len(decide(schedule, Every(), due_at(schedule, 1100.0), 0).fires) == 1


def test_a_paused_schedule_fires_nothing_and_what_passed_is_not_made_up_for() -> None:
    paused = replace(a_schedule(missed=Missed.ALL), is_paused=True)

    decision = decide(paused, Every(), 1500.0, 0)
    after = resumed(paused, 1550.0)

    assert (decision.fires, decision.others, decision.wake_at) == ((), (), None)
    assert decide(after, Every(), 1599.0, 0).fires == ()
    assert [fire.tick for fire in decide(after, Every(), 1600.0, 0).fires] == [1600.0]


def test_a_schedule_without_further_ticks_is_not_looked_at_again() -> None:
    decision = decide(a_schedule(), Every(end=1100.0), 1100.0, 0)

    assert (len(decision.fires), decision.wake_at) == (1, None)
    assert next_at(decision.schedule, Every(end=1100.0)) is None


def test_the_same_times_deployed_again_go_on_and_other_times_begin_anew() -> None:
    before = replace(a_schedule(), cursor=1400.0, is_paused=True)
    patient = replace(before.spec, overlap=Overlap.QUEUE)
    other = replace(before.spec, period_seconds=60.0)

    same = renewed(before, KEY, patient, b"new", 1450.0)
    changed = renewed(before, KEY, other, b"new", 1450.0)
    new = renewed(None, KEY, other, b"new", 1450.0)

    assert same == replace(before, spec=patient, args=b"new")
    assert (changed.anchor, changed.cursor, changed.is_paused) == (1450.0, 1450.0, True)
    assert (new.anchor, new.cursor, new.is_paused) == (1450.0, 1450.0, False)
