"""`offload run`: runs a program's entrypoint, with its functions in containers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from offload.cli.exits import CliError, Exit, ProgramError

if TYPE_CHECKING:
    import inspect
    import types
    from collections.abc import Iterator

    from offload.cli.flags import Flags
    from offload.cli.program import Target


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.argument("program", metavar="FILE[::NAME]")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[FLAGS]...")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no output of functions.")
@click.option(
    "--workspace",
    metavar="NAME",
    help="Whose share of the machines it uses; default: the settings'.",
)
@click.option(
    "--env",
    "environment",
    metavar="NAME",
    help="Whose named objects it uses; default: the settings'.",
)
def command(
    *,
    program: str,
    flags: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **scope: str | None,
) -> int:
    """Run a program's entrypoint; its functions run in sandboxed containers.

    FILE is a Python file with an app. NAME chooses one of its entrypoints or functions where there are several. The
    flags after it are the parameters of what is run: `offload run FILE --help` lists them.

    Without a configured server a local stack is started, and found warm by the next run.
    """
    from offload.cli import program as programs
    from offload.cli.flags import flags_of

    file, _, name = program.partition("::")
    module = programs.load(file)
    target = programs.choose(module, file, name)
    taken = flags_of(target.body, target.name)
    values = _parse(taken, target, program, flags)
    run = _Run(
        module=module,
        target=target,
        arguments=taken.arguments(values),
        as_json=as_json or values.get("as_json") is True,
        quiet=quiet,
        workspace=scope["workspace"],
        environment=scope["environment"],
    )
    return run.go()


def _parse(flags: Flags, target: Target, program: str, given: tuple[str, ...]) -> dict[str, object]:
    parameters = list(flags.parameters)
    if not any("--json" in parameter.opts for parameter in parameters):
        parameters.append(
            click.Option(["as_json", "--json"], is_flag=True, help="Print the result as JSON.")
        )
    body = click.Command(
        target.name,
        params=parameters,
        help=target.body.__doc__,
        context_settings={"help_option_names": ["--help"], "show_default": True},
    )
    context = body.make_context(f"offload run {program}", list(given))
    return dict(context.params)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run of one target."""

    module: types.ModuleType
    target: Target
    arguments: inspect.BoundArguments
    as_json: bool
    quiet: bool
    workspace: str | None
    environment: str | None

    def go(self) -> int:
        """Run it; print the result where it was asked for. Raises `CliError` and `ProgramError`."""
        from offload.cli.program import describe, is_from, report
        from offload.errors import AuthError, ConnectionLostError, OffloadError, VersionError

        try:
            with _interruptible(), _stdout_to_stderr(active=self.as_json):
                result = self._run_in_app()
        except KeyboardInterrupt:
            raise CliError("Interrupted; the work was cancelled.", Exit.INTERRUPTED) from None
        except SystemExit as exit_:
            return _exit_code(exit_)
        except (AuthError, ConnectionLostError, VersionError) as error:
            raise CliError(str(error), Exit.SERVER) from None
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever the user's program raises
            if isinstance(error, OffloadError) and not is_from(self.module, error):
                raise CliError(str(error), Exit.SERVER) from None
            raise ProgramError(describe(error), report(error)) from None
        if self.as_json:
            print(json.dumps({"result": _plain(result)}, ensure_ascii=False))
        elif self.target.is_remote and result is not None:
            print(result)
        return Exit.OK

    def _run_in_app(self) -> object:
        from offload.sdk.source import ship_by_value

        ship_by_value(self.module)
        with self._app_running():
            self._show_urls()
            if self.target.is_remote:
                function = self.target.app.functions[self.target.name]
                if function.is_generator:
                    items = function.remote_gen(*self.arguments.args, **self.arguments.kwargs)
                    return self._stream(items)
                return function.remote(*self.arguments.args, **self.arguments.kwargs)
            entrypoint = self.target.app.entrypoints[self.target.name]
            return entrypoint(*self.arguments.args, **self.arguments.kwargs)

    def _show_urls(self) -> None:
        from offload.cli.web_urls import web_urls

        for url in () if self.quiet else web_urls(self.target.app):
            print(url, file=sys.stderr, flush=True)

    def _stream(self, items: Iterator[object]) -> list[object] | None:
        if self.as_json:
            return list(items)
        for item in items:
            print(item, flush=True)
        return None

    @contextlib.contextmanager
    def _app_running(self) -> Iterator[None]:
        from offload.sdk.output import NoOutput, StreamOutput

        if self.quiet or not sys.stderr.isatty():
            output = NoOutput() if self.quiet else StreamOutput()
            with self.target.app.run(
                output=output, workspace=self.workspace, environment_name=self.environment
            ):
                yield
            return
        from offload.cli.progress import Display

        display = Display()
        try:
            with self.target.app.run(
                output=display, workspace=self.workspace, environment_name=self.environment
            ):
                display.start()
                yield
        finally:
            display.stop()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let the first Ctrl-C unwind the program, and the second end this process at once."""

    def first(*_signal: object) -> None:
        signal.signal(signal.SIGINT, second)
        raise KeyboardInterrupt

    def second(*_signal: object) -> None:
        os.write(2, b"offload: Interrupted again; leaving at once.\n")
        os._exit(Exit.INTERRUPTED)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _stdout_to_stderr(*, active: bool) -> Iterator[None]:
    """Keep stdout free for the one JSON document while a program prints."""
    if not active:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return Exit.OK
    if isinstance(error.code, int):
        return error.code
    print(error.code, file=sys.stderr)
    return Exit.PROGRAM_FAILED


def _plain(value: object) -> object:
    """Return the value where JSON can hold it, else its repr."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)
    return value
