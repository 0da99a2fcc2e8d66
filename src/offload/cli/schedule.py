"""`offload schedule`: what runs by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.exits import CliError
from offload.cli.scope import scope_of, scoped

if TYPE_CHECKING:
    from offload.sdk.schedule import Cron, Period
    from offload.wire.gen import schedules_pb2


@click.group()
def command() -> None:
    """Schedules of deployed apps: list, pause, resume and run them."""


@command.command("ls")
@click.option("--app", default="", metavar="APP", help="Only of this app.")
@click.option("--runs", default=1, show_default=True, help="How many of the last runs to list.")
@scoped
@show.json_option
def list_schedules(
    *, app: str, runs: int, workspace: str | None, environment: str | None, as_json: bool
) -> None:
    """List schedules with their next and last runs, of all environments unless one is named."""
    from offload.cli.ask import ask
    from offload.wire.gen import schedules_pb2

    request = schedules_pb2.ListSchedulesRequest(
        app=app,
        workspace=scope_of(workspace, environment)["workspace"],
        environment=environment or "",
    )
    reply = ask("Schedules/ListSchedules", request, schedules_pb2.ListSchedulesReply)
    for each in reply.schedules:
        del each.runs[max(0, runs) :]
    if as_json:
        show.print_json(show.as_document(reply)["schedules"])
        return
    if not reply.schedules:
        print("No schedules: give a function one with @app.function(schedule=…) and deploy it.")
    show.print_table(
        "Schedules",
        ("function", "environment", "runs", "next", "last", "outcome", "call"),
        (row for each in reply.schedules for row in _rows(each)),
    )


@command.command("pause")
@click.argument("target", metavar="APP[::FUNCTION]")
@scoped
@show.json_option
def pause(*, target: str, workspace: str | None, environment: str | None, as_json: bool) -> None:
    """Run nothing until `resume`; what would have run meanwhile does not run later either."""
    _change("Schedules/PauseSchedule", target, scope_of(workspace, environment), as_json=as_json)


@command.command("resume")
@click.argument("target", metavar="APP[::FUNCTION]")
@scoped
@show.json_option
def resume(*, target: str, workspace: str | None, environment: str | None, as_json: bool) -> None:
    """Run again, from the next time on."""
    _change("Schedules/ResumeSchedule", target, scope_of(workspace, environment), as_json=as_json)


@command.command("run-now")
@click.argument("target", metavar="APP[::FUNCTION]")
@scoped
@show.json_option
def run_now(*, target: str, workspace: str | None, environment: str | None, as_json: bool) -> None:
    """Run it once, now, beside its schedule; `offload calls get` shows what becomes of the call."""
    from offload.cli.ask import ask
    from offload.wire.gen import schedules_pb2

    name = _find(target, scope_of(workspace, environment))
    reply = ask("Schedules/RunSchedule", name, schedules_pb2.RunScheduleReply)
    if as_json:
        show.print_json({"call_id": reply.call_id})
    else:
        print(f"{name.app}::{name.function} runs: {reply.call_id}")


def words_of(schedule: Cron | Period) -> str:
    """Say when a schedule runs."""
    from offload.sdk.schedule import Cron

    if isinstance(schedule, Cron):
        return _cron(schedule.expression, schedule.timezone)
    return _period(schedule.seconds)


def _change(method: str, target: str, scope: dict[str, str], *, as_json: bool) -> None:
    from offload.cli.ask import ask
    from offload.wire.gen import schedules_pb2

    name = _find(target, scope)
    found = ask(method, name, schedules_pb2.ScheduleDescription)
    if as_json:
        show.print_json(show.as_document(found))
        return
    state = "is paused" if found.is_paused else f"runs next {_time(found.next_at)}"
    print(f"{name.app}::{name.function} {state}.")


def _find(target: str, scope: dict[str, str]) -> schedules_pb2.ScheduleName:
    """Return the schedule that is meant: where the app has only one, its function need not be named."""
    from offload.cli.ask import ask
    from offload.wire.gen import schedules_pb2

    app, _, function = target.partition("::")
    if not function:
        request = schedules_pb2.ListSchedulesRequest(
            app=app, workspace=scope["workspace"], environment=scope["environment"] or "main"
        )
        reply = ask("Schedules/ListSchedules", request, schedules_pb2.ListSchedulesReply)
        names = [each.name.function for each in reply.schedules]
        if len(names) > 1:
            choices = ", ".join(f"{app}::{name}" for name in names)
            raise CliError(f"App {app!r} has several schedules; name one: {choices}.")
        function = names[0] if names else function
    return schedules_pb2.ScheduleName(app=app, function=function, **scope)


def _rows(found: schedules_pb2.ScheduleDescription) -> list[tuple[str, ...]]:
    schedule, name = found.schedule, found.name
    when = (
        _cron(schedule.cron, schedule.timezone)
        if schedule.cron
        else _period(schedule.period_seconds)
    )
    following = "paused" if found.is_paused else _time(found.next_at)
    head = (f"{name.app}::{name.function}", name.environment, when, following)
    if not found.runs:
        return [(*head, "-", "-", "-")]
    return [
        (
            *(head if index == 0 else ("", "", "", "")),
            _time(run.tick),
            run.outcome or f"{run.state}: {run.reason}",
            run.call_id or "-",
        )
        for index, run in enumerate(found.runs)
    ]


def _cron(expression: str, timezone: str) -> str:
    return f"{expression} ({timezone})"


def _period(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"every {seconds / size:g} {unit}"
    return f"every {seconds:g} s"


def _time(moment: float) -> str:
    if not moment:
        return "-"
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
