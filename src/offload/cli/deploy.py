"""`offload deploy`: makes a program's functions the next version of a deployed app."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit
from offload.cli.web_urls import deployed_web_urls

if TYPE_CHECKING:
    from offload.sdk.values import Deployed, LogLine, PoolProgress


@click.command()
@click.argument("program", metavar="FILE|MODULE")
@click.option("--name", metavar="NAME", help="What to call the app; default: as it calls itself.")
@click.option(
    "--env", "environment", metavar="NAME", help="The environment; default: the settings', or main."
)
@click.option("--workspace", metavar="NAME", help="Whose app it is; default: the settings'.")
@click.option("--tag", metavar="TEXT", help="What to call this version, as a commit's id.")
@click.option(
    "--no-check",
    is_flag=True,
    help="Let it serve at once, without loading each function in a container first.",
)
@show.json_option
def command(*, program: str, no_check: bool, as_json: bool, **named: str | None) -> None:
    """Make a program's functions the next version of a deployed app; they stay when this command ends.

    The program is a Python file, or a module as in `import`. A container of each function starts and loads it before
    calls go there; where one cannot, nothing changes. Deploying what is deployed already changes nothing either.
    """
    from offload.cli import program as programs
    from offload.errors import OffloadError
    from offload.sdk.source import ship_by_value

    module = programs.load(program) if _is_file(program) else programs.load_module(program)
    app = programs.only_app(module, program)
    ship_by_value(module)
    try:
        done = app.deploy(
            named["name"],
            environment_name=named["environment"],
            tag=named["tag"],
            workspace=named["workspace"],
            check=not no_check,
            output=_News(),
        )
    except OffloadError as error:
        raise CliError(str(error), Exit.SERVER) from None
    urls = deployed_web_urls(app, done, named["workspace"])
    if as_json:
        show.print_json({**done._asdict(), "urls": urls})
        return
    print(_sentence(done))
    for url in urls:
        print(f"  {url}")
    for name, function in app.functions.items():
        if function.options.web is not None and not function.is_class:
            continue  # it is called by its address
        kind = "Cls" if function.is_class else "Function"
        print(f'  {kind}.from_name("{done.app_name}", "{name}"){_when(function.options.schedule)}')


class _News:
    """Says on stderr what a new version waits for, each thing once. See `Output`."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def line(self, line: LogLine) -> None:
        """Show nothing: no input runs."""

    def progress(self, pools: list[PoolProgress]) -> None:
        """Say why functions are not ready yet."""
        for pool in pools:
            reason = pool.waiting_reason
            if reason and reason not in self._said:
                self._said.add(reason)
                print(f"  {pool.function_name}: {reason}", file=sys.stderr, flush=True)


def _is_file(program: str) -> bool:
    return program.endswith(".py") or os.sep in program


def _sentence(done: Deployed) -> str:
    what = f"{done.app_name} in environment {done.environment}"
    if done.is_unchanged:
        return f"Nothing changed: version {done.version} of {what} is the same and serves."
    instead = f" in place of version {done.replaced_version}" if done.replaced_version else ""
    return f"Version {done.version} of {what} serves{instead}."


def _when(schedule: object) -> str:
    from offload.cli.schedule import words_of
    from offload.sdk.schedule import Cron, Period

    return f"  # runs {words_of(schedule)}" if isinstance(schedule, Cron | Period) else ""
