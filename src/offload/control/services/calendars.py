"""The ticks of schedules: cron expressions in their time zone, and periods."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from offload.control.core.errors import DomainError, ErrorCode

if TYPE_CHECKING:
    from offload.control.core.schedules import Calendar, Schedule, ScheduleSpec

SHORTEST_PERIOD_SECONDS = 1.0
LONGEST_PERIOD_SECONDS = 366 * 86_400.0
MAX_JITTER_SECONDS = 86_400.0
MAX_MISSED_RUNS = 1_000
# A tick is a float, exact to some tenths of a microsecond. Asked for what comes after one, a calendar must not find that
# tick once more.
_ROUNDING_SECONDS = 1e-5
# A cron expression without a tick for so long has none: the 29th of February skips at most eight years.
_YEARS_AHEAD = timedelta(days=366 * 9)


class CronCalendar:
    """See `Calendar`. In the hour that a time zone repeats or leaves out, as Debian's cron does.

    A tick at a fixed time comes once in an hour that is repeated, and right after one that is left out; one that comes
    every hour or minute comes as often as the clock shows one.
    """

    def __init__(self, expression: str, timezone: ZoneInfo) -> None:
        self._expression = expression
        self._timezone = timezone

    def after(self, moment: float) -> float | None:
        """See `Calendar`."""
        start = datetime.fromtimestamp(math.floor(moment), self._timezone)
        tick = next(CronSim(self._expression, start), None)
        if tick is None or tick - start > _YEARS_AHEAD:
            return None
        return tick.timestamp()


class PeriodCalendar:
    """See `Calendar`. Whole periods from the anchor on."""

    def __init__(self, anchor: float, period_seconds: float) -> None:
        self._anchor = anchor
        self._period_seconds = period_seconds

    def after(self, moment: float) -> float | None:
        """See `Calendar`."""
        passed = moment + _ROUNDING_SECONDS - self._anchor
        return (
            self._anchor
            + max(1, math.floor(passed / self._period_seconds) + 1) * self._period_seconds
        )


def calendar_of(schedule: Schedule) -> Calendar:
    """Return what knows the ticks of a schedule whose spec was checked."""
    spec = schedule.spec
    if spec.cron:
        return CronCalendar(spec.cron, ZoneInfo(spec.timezone))
    return PeriodCalendar(schedule.anchor, spec.period_seconds)


def check_spec(function: str, spec: ScheduleSpec) -> None:
    """Raise `DomainError` for a schedule that cannot be meant."""
    wrong = ""
    if bool(spec.cron) == bool(spec.period_seconds):
        wrong = "it has either a cron expression or a period"
    elif spec.cron:
        wrong = _why_no_cron(spec.cron, spec.timezone)
    elif not SHORTEST_PERIOD_SECONDS <= spec.period_seconds <= LONGEST_PERIOD_SECONDS:
        wrong = f"a period of {spec.period_seconds:g} s is not between a second and a year"
    if not 0 <= spec.jitter_seconds <= MAX_JITTER_SECONDS:
        wrong = f"a jitter of {spec.jitter_seconds:g} s is not between 0 and a day"
    if spec.period_seconds and spec.jitter_seconds >= spec.period_seconds > 0:
        wrong = f"a jitter of {spec.jitter_seconds:g} s is not below its period of {spec.period_seconds:g} s"
    if not 1 <= spec.max_missed <= MAX_MISSED_RUNS:
        wrong = f"max_missed={spec.max_missed} is not between 1 and {MAX_MISSED_RUNS}"
    if wrong:
        raise DomainError(ErrorCode.INVALID, f"The schedule of function {function!r}: {wrong}.")


def _why_no_cron(expression: str, timezone: str) -> str:
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"{timezone!r} is no time zone that this server knows, like 'Europe/Berlin'"
    if len(expression.split()) != 5:
        return (
            f"{expression!r} has not the five fields minute, hour, day of month, month, day of week"
        )
    try:
        CronSim(expression, datetime.fromtimestamp(0, zone))
    except CronSimError as error:
        return f"{expression!r} is no cron expression ({error})"
    return ""
