"""When a function of a deployed app runs by itself: frozen values, checked where the user wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict, cast

from offload.errors import InvalidError
from offload.sdk.option_checks import check_number, check_whole

if TYPE_CHECKING:
    from typing import Literal, Self, Unpack

    Missed = Literal["latest", "skip", "all"]
    Overlap = Literal["allow", "skip", "queue"]

MISSED = ("latest", "skip", "all")
OVERLAP = ("allow", "skip", "queue")

_DAY_SECONDS = 86_400.0
_UNIT_SECONDS = {
    "weeks": 7 * _DAY_SECONDS,
    "days": _DAY_SECONDS,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
}
_CRON_EXAMPLE = 'write Cron("0 9 * * 1-5", timezone="Europe/Berlin") for nine on every working day'


class _Cron(NamedTuple):
    expression: str
    timezone: str
    missed: str
    max_missed: int
    overlap: str
    jitter: float


class Cron(_Cron):
    """Runs at the times of a cron expression: minute, hour, day of month, month, day of week, in a time zone.

    `missed` says what becomes of times that passed while the server was away: the "latest" of them runs, or they are
    "skip"ped, or "all" run, at most `max_missed` of them. `overlap` says what happens when a run is due while one before it
    has not ended: "allow", "skip", or "queue". Each run comes up to `jitter` seconds later than its time.
    """

    __slots__ = ()

    @property
    def is_schedule(self) -> bool:
        """Whether it is one."""
        return True

    def __new__(
        cls,
        expression: str,
        *,
        timezone: str = "UTC",
        missed: Missed = "latest",
        max_missed: int = 100,
        overlap: Overlap = "allow",
        jitter: float = 0.0,
    ) -> Self:
        """Check it all; raise `InvalidError` with the caller's line as the last."""
        try:
            _check_cron(expression, timezone)
            _check_policies(missed, max_missed, overlap, jitter)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        return super().__new__(cls, expression, timezone, missed, max_missed, overlap, jitter)


class PeriodArguments(TypedDict, total=False):
    """The keyword arguments of `Period`."""

    weeks: float
    days: float
    hours: float
    minutes: float
    seconds: float
    missed: Missed
    max_missed: int
    overlap: Overlap
    jitter: float


class _Period(NamedTuple):
    seconds: float
    missed: str
    max_missed: int
    overlap: str
    jitter: float


class Period(_Period):
    """Runs every so often, first one period after the app was deployed. For the policies see `Cron`."""

    __slots__ = ()

    @property
    def is_schedule(self) -> bool:
        """Whether it is one."""
        return True

    def __new__(cls, **given: Unpack[PeriodArguments]) -> Self:
        """Check it all; raise `InvalidError` with the caller's line as the last."""
        policies = {"missed": "latest", "max_missed": 100, "overlap": "allow", "jitter": 0.0}
        try:
            total = 0.0
            for name, value in given.items():
                if name in policies:
                    policies[name] = value
                elif name in _UNIT_SECONDS:
                    check_number(name, value, 0, 366 * _DAY_SECONDS)
                    total += cast("float", value) * _UNIT_SECONDS[name]
                else:
                    known = ", ".join((*_UNIT_SECONDS, *policies))
                    raise InvalidError(f"unknown option {name!r}: the options are {known}")
            if not 1 <= total <= 366 * _DAY_SECONDS:
                raise InvalidError(
                    f"a period of {total:g} s is not between a second and a year: write Period(minutes=5)"
                )
            _check_policies(**policies)
            if cast("float", policies["jitter"]) >= total:
                raise InvalidError(
                    f"jitter={policies['jitter']!r} is not below the period of {total:g} s: runs would pass one another"
                )
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        return super().__new__(cls, total, **policies)  # type: ignore[arg-type]  # just checked


def check_callable_without_arguments(function: object, name: str) -> None:
    """Refuse a function that a schedule cannot call: nobody is there to give it arguments."""
    import inspect

    if not callable(function):
        return
    needed = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise InvalidError(
            f"{name}() has a schedule, so it is called without arguments: give {', '.join(needed)} a default"
        )


def _check_cron(expression: object, timezone: object) -> None:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    from cronsim import CronSim, CronSimError

    if not isinstance(expression, str) or len(expression.split()) != 5:
        raise InvalidError(
            f"{expression!r} has not the five fields minute, hour, day of month, month, day of week: {_CRON_EXAMPLE}"
        )
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise InvalidError(
            f"{expression!r} is no cron expression ({error}): {_CRON_EXAMPLE}"
        ) from None
    try:
        ZoneInfo(str(timezone))
    except (LookupError, ValueError, OSError):
        raise InvalidError(
            f'timezone={timezone!r} is no time zone: they are called "UTC" or "Europe/Berlin"'
        ) from None


def _check_policies(missed: object, max_missed: object, overlap: object, jitter: object) -> None:
    if missed not in MISSED:
        raise InvalidError(f"missed={missed!r} is not one of {', '.join(map(repr, MISSED))}")
    if overlap not in OVERLAP:
        raise InvalidError(f"overlap={overlap!r} is not one of {', '.join(map(repr, OVERLAP))}")
    check_whole("max_missed", max_missed, 1, 1000)
    check_number("jitter", jitter, 0, _DAY_SECONDS)
