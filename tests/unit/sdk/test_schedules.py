"""Schedules and times of calls, checked where the user wrote them."""

from __future__ import annotations

import datetime
import pickle

import pytest

import offload
from offload.errors import InvalidError
from offload.sdk import call_options
from offload.sdk.client import translate
from offload.wire.gen import apps_pb2, schedules_pb2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: offload.Cron("* * * *"), "has not the five fields"),
        (lambda: offload.Cron("61 * * * *"), "is no cron expression"),
        (lambda: offload.Cron("0 9 * * *", timezone="Berlin"), "timezone='Berlin' is no time zone"),
        (
            lambda: offload.Cron("0 9 * * *", missed="never"),
            "missed='never' is not one of 'latest'",
        ),
        (lambda: offload.Cron("0 9 * * *", overlap="stop"), "overlap='stop' is not one of"),
        (lambda: offload.Cron("0 9 * * *", max_missed=0), "max_missed=0 is out of range"),
        (offload.Period, "a period of 0 s is not between a second and a year"),
        (lambda: offload.Period(seconds=0.5), r"a period of 0\.5 s"),
        (lambda: offload.Period(days=400), r"a period of 3\.456e\+07 s"),
        (lambda: offload.Period(minuets=5), "unknown option 'minuets'"),
        (lambda: offload.Period(seconds=5, jitter=5), "jitter=5 is not below the period"),
    ],
)
def test_what_can_be_no_schedule_is_refused_in_the_users_line(make, message):
    with pytest.raises(InvalidError, match=message) as refused:
        make()

    assert refused.traceback[-1].path.name == "test_schedules.py"


@pytest.mark.parametrize(
    ("schedule", "message"),
    [("0 9 * * *", r"write schedule=offload.Cron\('0 9 \* \* \*'\)"), (5, "is not a schedule")],
)
def test_what_is_no_schedule_is_refused_by_the_decorator(schedule, message):
    app = offload.App("x")

    with pytest.raises(InvalidError, match=message):
        app.function(schedule=schedule)


def test_a_function_with_a_schedule_needs_a_default_for_each_parameter():
    app = offload.App("x")

    with pytest.raises(InvalidError, match="is called without arguments: give day, hour a default"):

        @app.function(schedule=offload.Period(minutes=5))
        def report(day, hour, minute=0, *rest, **more):
            return day


def test_a_schedule_reaches_the_server_as_it_was_written():
    app = offload.App("x")
    cron = offload.Cron(
        "0 9 * * 1-5",
        timezone="Europe/Berlin",
        missed="all",
        max_missed=7,
        overlap="queue",
        jitter=30,
    )
    weekdays = app.function(name="weekdays", schedule=cron)(lambda: 1)
    often = app.function(name="often", schedule=offload.Period(minutes=1, seconds=30))(lambda: 1)
    first, second = apps_pb2.FunctionDefinition(), apps_pb2.FunctionDefinition()

    translate.set_options(first, weekdays.options)
    translate.set_options(second, often.options)

    sent = first.schedule
    assert (sent.cron, sent.timezone) == ("0 9 * * 1-5", "Europe/Berlin")
    assert (sent.missed, sent.max_missed) == (schedules_pb2.MISSED_RUNS_ALL, 7)
    assert (sent.overlap, sent.jitter_seconds) == (schedules_pb2.OVERLAP_QUEUE, 30.0)
    assert pickle.loads(sent.args.inline) == ((), {})  # noqa: S301 what this process pickled
    assert second.schedule.period_seconds == 90.0


def test_when_a_call_begins_is_a_delay_or_a_moment():
    moment = datetime.datetime(2030, 1, 1, 9, tzinfo=datetime.UTC)

    delayed = call_options.changed(None, {"delay": 5})
    at = call_options.changed(None, {"at": moment})

    assert (delayed.delay, at.at) == (5, moment.timestamp())
    assert call_options.changed(None, {"at": 1e9}).at == 1e9
    for wrong, message in (
        ({"delay": -1}, "delay=-1 is out of range"),
        ({"at": moment.replace(tzinfo=None)}, "has no time zone"),
        ({"at": "tomorrow"}, "at='tomorrow' is not a number"),
        ({"delay": 1, "at": moment}, "leave one of them out"),
    ):
        with pytest.raises(InvalidError, match=message):
            call_options.changed(None, wrong)
    with pytest.raises(InvalidError, match="delay is about one call"):
        offload.App("x").function(delay=5)
