"""`offload shell`: a shell in a new container of a function, which is not run."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit
from offload.cli.scope import scope_of, scoped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.sdk.app import AnyFunction
    from offload.sdk.options import FunctionOptions
    from offload.sdk.values import LogLine, Output, PoolProgress

# Of a function's options those that say what its containers are, and not when there are how many of them.
_OF_CONTAINERS = (
    "name", "cpu", "memory", "ephemeral_disk", "startup_timeout", "gpu", "labels", "runtime", "block_network",
    "restrict_platform_access", "outbound_cidr_allowlist", "outbound_domain_allowlist", "env", "secrets", "image", "volumes",
)  # fmt: skip

_LONGEST_SECONDS = 31 * 86_400.0


@click.command()
@click.argument("program", metavar="FILE::NAME")
@click.option("--cmd", metavar="COMMAND", help="Run this with sh instead of an interactive shell.")
@scoped
@show.json_option
def command(
    *,
    program: str,
    cmd: str | None,
    workspace: str | None,
    environment: str | None,
    as_json: bool,  # noqa: ARG001  # for errors; what is run prints its own
) -> int:
    """Open a shell in a new container of a function or class.

    It has the function's image, volumes, secrets, limits and network, and nobody else uses it. The function is not run. The
    container ends with the shell, or with this command; the exit code is the shell's.
    """
    from offload.cli import program as programs
    from offload.errors import OffloadError

    file, _, name = program.partition("::")
    module = programs.load(file)
    chosen = programs.choose_function(module, file, name)
    words = ("sh", "-c", cmd) if cmd is not None else ()
    scope = scope_of(workspace, environment)
    try:
        return _run(chosen, words, scope)
    except KeyboardInterrupt:
        raise CliError("Interrupted; the container is ended.", Exit.INTERRUPTED) from None
    except OffloadError as error:
        raise CliError(str(error), Exit.SERVER) from None


def _run(chosen: AnyFunction, words: tuple[str, ...], scope: dict[str, str]) -> int:
    from offload.cli.console import run_in_container
    from offload.sdk.app import App
    from offload.sdk.function import Function
    from offload.sdk.holding import hold_container

    app = App(str(getattr(chosen.app, "name", "shell")))
    options = held_options(chosen.name, chosen.options)
    held: Function[[], object, tuple[str, str]] = Function(app, hold_container, options)
    with _waiting() as output:
        opened = app.run(
            output=output, workspace=scope["workspace"], environment_name=scope["environment"]
        )
        with opened:
            output.start()
            for container_id, call_id in held.remote_gen():
                output.stop()
                return run_in_container(container_id, words, scope, call_id)
            raise CliError("The container ended before it could be used.", Exit.SERVER)


def held_options(name: str, options: FunctionOptions) -> FunctionOptions:
    """Return the options of a function whose containers are those of another, each for one person."""
    from offload.sdk.options import FunctionOptions

    return FunctionOptions(**{each: getattr(options, each) for each in _OF_CONTAINERS})._replace(
        name=name,
        timeout=_LONGEST_SECONDS,
        scaledown_window=0.0,
        max_containers=1,
        single_use_containers=True,
    )


class _Waiting:
    """Shows what the container waits for, and nothing any more once the terminal is somebody else's. See `Output`."""

    def __init__(self) -> None:
        self._display: Output | None = None
        self._stop = contextlib.ExitStack()

    def start(self) -> None:
        """Begin to show."""
        from offload.cli.progress import Display
        from offload.sdk.output import StreamOutput

        if sys.stderr.isatty():
            display = Display()
            display.start()
            self._stop.callback(display.stop)
            self._display = display
        else:
            self._display = StreamOutput()

    def stop(self) -> None:
        """Show nothing more. Idempotent."""
        self._display = None
        self._stop.close()

    def line(self, line: LogLine) -> None:
        """See `Output`."""
        if self._display is not None:
            self._display.line(line)

    def progress(self, pools: list[PoolProgress]) -> None:
        """See `Output`."""
        if self._display is not None:
            self._display.progress(pools)


@contextlib.contextmanager
def _waiting() -> Iterator[_Waiting]:
    output = _Waiting()
    try:
        yield output
    finally:
        output.stop()
