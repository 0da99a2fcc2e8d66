"""A run of an app as a `with` block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from offload.errors import OffloadError
from offload.sdk.blocking import run, run_aio
from offload.sdk.output import NoOutput, StreamOutput
from offload.sdk.registration import Definition
from offload.sdk.run import AppRun, start_run, stop_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from offload.sdk.inside import InsideRun
    from offload.sdk.run import RegisteredFunction
    from offload.sdk.values import Output


class Runnable(Protocol):
    """What a run asks of its app."""

    name: str
    runs: list[AppRun]

    @property
    def functions(self) -> Mapping[str, RunnableFunction]:
        """Its functions by name."""
        ...

    def with_included(self) -> Sequence[Runnable]:
        """Return it and those that it includes."""
        ...


class RunnableFunction(Definition, Protocol):
    """What a run asks of a function of its app."""

    is_partial: bool

    def register(self, run: AppRun | InsideRun) -> RegisteredFunction:
        """Send it to the server when that is needed."""
        ...


A = TypeVar("A", bound=Runnable)


class RunContext(Generic[A]):
    """Opens a run of an app and closes it again. Each use is a run of its own."""

    def __init__(
        self,
        app: A,
        output: Output | None,
        scope: tuple[str | None, str | None],
        *,
        show_output: bool,
    ) -> None:
        self._app = app
        self._output = output
        self._scope = scope  # workspace and environment
        self._show_output = show_output
        self._open: list[AppRun] = []

    def __enter__(self) -> A:
        opened = self._new_run()
        run(start_run(opened))
        return self._entered(opened)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run(_stop(self._left(), error))

    async def __aenter__(self) -> A:
        opened = self._new_run()
        await run_aio(start_run(opened))
        return self._entered(opened)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await run_aio(_stop(self._left(), error))

    def _new_run(self) -> AppRun:
        output = self._output or (StreamOutput() if self._show_output else NoOutput())
        opened = AppRun(self._app.name, output, *self._scope, self._app.functions)
        for function in self._app.functions.values():
            options = function.options
            is_wanted = options.min_containers or options.web is not None
            if is_wanted and not function.is_partial:
                function.register(opened)
        return opened

    def _entered(self, opened: AppRun) -> A:
        for app in self._app.with_included():
            app.runs.append(opened)
        self._open.append(opened)
        return self._app

    def _left(self) -> AppRun:
        closed = self._open.pop()
        for app in self._app.with_included():
            app.runs.remove(closed)
        return closed


async def _stop(closed: AppRun, error: BaseException | None) -> None:
    try:
        await stop_run(closed, error)
    except OffloadError:
        if error is None:  # else that is what its reader has to know
            raise
