"""The ticks of cron expressions and periods, in time zones with all their oddities."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.control.core.errors import DomainError
from offload.control.core.schedules import Calendar, ScheduleSpec
from offload.control.services.calendars import CronCalendar, PeriodCalendar, check_spec


def ticks(calendar: Calendar, start: float, count: int) -> list[float]:
    found: list[float] = []
    tick = calendar.after(start)
    while tick is not None and len(found) < count:
        found.append(tick)
        tick = calendar.after(tick)
    return found


def times(expression: str, zone: str, start: str, count: int) -> list[str]:
    """Return ticks as the zone's clock shows them, with the offset from UTC."""
    timezone = ZoneInfo(zone)
    begin = datetime.fromisoformat(start).replace(tzinfo=timezone).timestamp()
    found = ticks(CronCalendar(expression, timezone), begin, count)
    return [datetime.fromtimestamp(t, timezone).strftime("%m-%d %H:%M%z") for t in found]


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        # every working day at nine, over a weekend
        ("0 9 * * 1-5", "Europe/Berlin", "2026-11-26 10:00",
         ["11-27 09:00+0100", "11-30 09:00+0100", "12-01 09:00+0100"]),
        # Berlin leaves out 02:00 to 03:00 on 2026-03-29: what was due then runs right after
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 00:00",
         ["03-28 02:30+0100", "03-29 03:00+0200", "03-30 02:30+0200"]),
        # and shows 02:00 to 03:00 twice on 2026-10-25: a fixed time runs the first time only
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00",
         ["10-25 02:30+0200", "10-26 02:30+0100"]),
        # nine o'clock is nine o'clock on both sides of a change
        ("0 9 * * *", "Europe/Berlin", "2026-03-28 00:00",
         ["03-28 09:00+0100", "03-29 09:00+0200", "03-30 09:00+0200"]),
        # every half hour runs in each hour that there is, also in the one that comes twice
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25 01:15",
         ["10-25 01:30+0200", "10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100",
          "10-25 02:30+0100", "10-25 03:00+0100"]),
        # every hour passes over the hour that is not there
        ("0 * * * *", "Europe/Berlin", "2026-03-29 00:30",
         ["03-29 01:00+0100", "03-29 03:00+0200", "03-29 04:00+0200"]),
        # New York changes on other days
        ("30 2 * * *", "America/New_York", "2026-03-07 12:00",
         ["03-08 03:00-0400", "03-09 02:30-0400"]),
        ("30 1 * * *", "America/New_York", "2026-10-31 12:00",
         ["11-01 01:30-0400", "11-02 01:30-0500"]),
        # Lord Howe Island moves by half an hour
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 00:00",
         ["10-03 02:15+1030", "10-04 02:30+1100", "10-05 02:15+1100"]),
        # half-hour zones without changes
        ("0 9 * * *", "Asia/Kolkata", "2026-03-28 00:00", ["03-28 09:00+0530", "03-29 09:00+0530"]),
        # Samoa left out a whole day, 2011-12-30
        ("0 12 * * *", "Pacific/Apia", "2011-12-29 00:00",
         ["12-29 12:00-1000", "12-31 00:00+1400", "12-31 12:00+1400"]),
        # the last day of the month, a leap day, the second Monday, names, steps and lists
        ("0 0 L * *", "UTC", "2028-01-31 12:00", ["02-29 00:00+0000", "03-31 00:00+0000"]),
        ("0 0 29 2 *", "UTC", "2026-01-01 00:00", ["02-29 00:00+0000", "02-29 00:00+0000"]),
        ("0 8 * * MON#2", "UTC", "2026-11-01 00:00", ["11-09 08:00+0000", "12-14 08:00+0000"]),
        ("0 0 1 jan,JUL *", "UTC", "2026-02-01 00:00", ["07-01 00:00+0000", "01-01 00:00+0000"]),
        ("5-20/5 0 * * *", "UTC", "2026-02-01 00:06",
         ["02-01 00:10+0000", "02-01 00:15+0000", "02-01 00:20+0000", "02-02 00:05+0000"]),
        # both a day of the month and a day of the week: either will do, as in cron
        ("0 0 13 * FRI", "UTC", "2026-11-01 00:00",
         ["11-06 00:00+0000", "11-13 00:00+0000", "11-20 00:00+0000"]),
    ],
)  # fmt: skip
def test_cron_ticks_when_the_clock_of_its_zone_says_so(
    expression: str, zone: str, start: str, expected: list[str]
) -> None:
    assert times(expression, zone, start, len(expected)) == expected


@given(
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
    ),
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 */2 * * *", "59 23 * * 0", "0 0 1 * *"]),
    st.floats(1.2e9, 2.2e9),
)
def test_ticks_rise_and_none_is_passed_over_from_any_moment(
    zone: str, expression: str, start: float
) -> None:
    calendar = CronCalendar(expression, ZoneInfo(zone))

    found = ticks(calendar, start, 20)

    assert found[0] > start
    assert all(before < after for before, after in pairwise(found))
    for before, after in pairwise(found):
        assert calendar.after((before + after) / 2) == after
        assert calendar.after(after - 0.5) == after


@given(st.floats(1.5e9, 2e9), st.floats(1.0, 1e7), st.floats(0.0, 3e8))
def test_periods_are_counted_from_their_anchor(anchor: float, period: float, later: float) -> None:
    calendar = PeriodCalendar(anchor, period)

    first, second = ticks(calendar, anchor + later, 2)

    assert anchor + later < first <= anchor + later + period + 2e-5
    assert second - first == pytest.approx(period, rel=1e-3)
    assert (first - anchor) / period == pytest.approx(round((first - anchor) / period), abs=1e-3)


def test_the_first_period_ends_one_period_after_the_anchor() -> None:
    assert ticks(PeriodCalendar(1000.0, 300.0), 1000.0, 2) == [1300.0, 1600.0]
    assert ticks(PeriodCalendar(1000.0, 300.0), 0.0, 1) == [1300.0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ScheduleSpec(), "either a cron expression or a period"),
        (ScheduleSpec("* * * * *", period_seconds=5), "either a cron expression or a period"),
        (ScheduleSpec("* * * *"), "has not the five fields"),
        (ScheduleSpec("* * * * * *"), "has not the five fields"),
        (ScheduleSpec("60 * * * *"), "is no cron expression"),
        (ScheduleSpec("0 0 30 2 *"), "is no cron expression"),
        (ScheduleSpec("0 9 * * *", "Europe/Bonn"), "no time zone that this server knows"),
        (ScheduleSpec("0 9 * * *", "../../etc/passwd"), "no time zone that this server knows"),
        (ScheduleSpec(period_seconds=0.5), "not between a second and a year"),
        (ScheduleSpec(period_seconds=60, jitter_seconds=-1), "jitter"),
        (ScheduleSpec(period_seconds=60, max_missed=0), "max_missed=0"),
    ],
)
def test_what_can_be_no_schedule_is_refused_by_name(spec: ScheduleSpec, message: str) -> None:
    with pytest.raises(DomainError, match=message) as refused:
        check_spec("report", spec)

    assert "The schedule of function 'report'" in refused.value.message


def test_a_moment_between_two_seconds_belongs_to_the_one_that_began() -> None:
    calendar = CronCalendar("0 9 * * *", ZoneInfo("UTC"))
    nine = datetime(2026, 11, 26, 9, tzinfo=ZoneInfo("UTC"))

    assert calendar.after((nine - timedelta(microseconds=1)).timestamp()) == nine.timestamp()
    assert calendar.after(nine.timestamp() + 0.25) == (nine + timedelta(days=1)).timestamp()
