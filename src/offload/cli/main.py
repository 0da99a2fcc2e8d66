"""The `offload` command: finds the subcommand, runs it, and turns every way it can end into an exit code."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import TYPE_CHECKING

import click

from offload.cli.exits import CliError, Exit, ProgramError
from offload.wire.version import PACKAGE_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

# A command's module is imported only when it is the one asked for; the help of all is here so that `--help` is quick.
_COMMANDS = {
    "run": "Run a program's entrypoint; its functions run in sandboxed containers.",
    "deploy": "Make a program's functions the next version of a deployed app.",
    "serve": "Run a program's app while you work on it, with every change taken in at once.",
    "shell": "Open a shell in a new container of a function.",
    "app": "List, show, roll back, stop and tag deployed apps.",
    "schedule": "List, pause, resume and run the schedules of deployed apps.",
    "up": "Start the local stack (a server and a worker in the background).",
    "down": "End the local stack and everything it runs.",
    "status": "Show the server, workers, containers and what waits for what.",
    "calls": "List, show and cancel calls.",
    "container": "List and stop containers, read what they print, run programs in them.",
    "dict": "List, make and change dicts that programs and containers share.",
    "dlq": "List, show, replay and drop inputs that were given up.",
    "image": "Build images here, list and prune those that are built, look into one.",
    "volume": "Make, list, fill, read, restore and delete volumes.",
    "logs": "Show what a call's or an app's functions printed.",
    "queue": "List, make and use queues that programs and containers share.",
    "secret": "List, make and remove secrets that functions get as variables; change their key.",
    "server": "Be the server: accept work and hand it to workers.",
    "web-key": "Make, list and revoke keys that open web endpoints.",
    "worker": "Be a worker: run containers for a server; list and drain workers.",
}


class _LazyGroup(click.Group):
    """A group whose commands are modules of `offload.cli` with an attribute `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(
            f"offload.cli.{cmd_name.replace('-', '_')}"
        ).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from offload.cli.names import unknown

            raise CliError(
                unknown("command", args[0], list(_COMMANDS), "`offload --help` lists them.")
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Before click sees it, whose exit code would say that the user's program failed.
            return Exit.BROKEN_PIPE

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command takes --json. Exit codes: 0 done, 1 your program failed, 2 wrong usage, "
    "3 server unreachable or refused, 4 not found, 130 interrupted.",
)
@click.version_option(PACKAGE_VERSION, prog_name="offload")
def cli() -> None:
    """Run Python functions in sandboxes on machines you own."""


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error is printed here, as JSON where that was asked for."""
    as_json = "--json" in arguments
    try:
        result: object = cli.main(list(arguments), prog_name="offload", standalone_mode=False)
    except CliError as error:
        _print_error(error, as_json=as_json)
        return error.code
    except click.ClickException as error:
        _print_usage_error(error, as_json=as_json)
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        _print_error(CliError("Interrupted.", Exit.INTERRUPTED), as_json=as_json)
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.OK


def main() -> None:
    """Run the command line of this process and exit."""
    try:
        code = run_command(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.BROKEN_PIPE
    sys.exit(code)


def _print_error(error: CliError, *, as_json: bool) -> None:
    if as_json:
        body = {"message": error.message, "exit_code": int(error.code)}
        if isinstance(error, ProgramError):
            body["traceback"] = error.report
        print(json.dumps({"error": body}))
    elif isinstance(error, ProgramError):
        print(error.report, end="", file=sys.stderr)
    elif error.message:
        print(f"offload: {error.message}", file=sys.stderr)


def _print_usage_error(error: click.ClickException, *, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps({"error": {"message": error.format_message(), "exit_code": int(Exit.USAGE)}})
        )
    else:
        error.show()
