"""Calls of functions from inside a container: they are found on the server by their names."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Protocol

from offload.errors import InvalidError, OffloadError
from offload.sdk.run import RegisteredFunction
from offload.sdk.session import current_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.sdk.options import FunctionOptions


class Definition(Protocol):
    """What is asked of a function here."""

    name: str
    options: FunctionOptions

    @property
    def is_variant(self) -> bool:
        """Whether the app's function of this name is another one."""
        ...


class InsideRun:
    """The run of the app whose container this is. See `AppRun`."""

    def __init__(self, app_name: str) -> None:
        self._app_name = app_name
        self._functions: dict[str, RegisteredFunction] = {}
        self._background: set[asyncio.Task[None]] = set()

    @property
    def app_id(self) -> str:
        """What only the program that runs the app knows."""
        raise InvalidError(
            f"this is a container of app {self._app_name!r}: what belongs to a run of it is made where the app is run, and "
            "passed on"
        )

    def register(self, function: Definition) -> RegisteredFunction:
        """Return the app's function of that name, which has its options from outside."""
        if function.is_variant:
            raise InvalidError(
                f"inside a container {function.name}() runs with the options it was decorated with: .with_options() can "
                "change only those of calls (priority, call_timeout, after, idempotency_key)"
            )
        known = self._functions.get(function.name)
        if known is None:
            find = partial(self._find, function.name, getattr(function, "of_class", None))
            known = self._functions[function.name] = RegisteredFunction(self, find)
        return known

    def cancel_later(self, call_id: str) -> None:
        """See `AppRun`."""
        task = asyncio.get_running_loop().create_task(self._cancel(call_id))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _find(self, name: str, of_class: tuple[str, Mapping[str, object]] | None) -> str:
        return await current_client().find_function(self._app_name, name, of_class)

    async def _cancel(self, call_id: str) -> None:
        with contextlib.suppress(OffloadError):
            await current_client().cancel(
                call_id,
                f"cancelled by a container of app {self._app_name!r}, which stopped waiting",
            )
