"""Functions of deployed apps, found by name from any process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk.call_options import CallOptions
from offload.sdk.cancelling import Cancelling
from offload.sdk.client.refusals import SupersededError
from offload.sdk.config import read_config
from offload.sdk.kinds import wrong_kind
from offload.sdk.run import DirectCall, RegisteredFunction
from offload.sdk.session import current_client
from offload.sdk.values import AppName
from offload.wire import guest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from offload.sdk.client import Submission
    from offload.sdk.run import AppRun
    from offload.sdk.values import Ended, ResolvedFunction

    T = TypeVar("T")

# A call meets a new version once in a while; who meets one every time meets a bug.
_TRIES = 5


class NamedFunction:
    """What the server said of a name; asked for once, and again when that is no longer true."""

    def __init__(self, app: AppName, name: str, version: int | str | None) -> None:
        self.app = app
        self.name = name
        self.version = version
        self.function: ResolvedFunction | None = None
        self._asking: asyncio.Task[ResolvedFunction] | None = None

    @property
    def owner(self) -> _DeployedApp:
        """The app that it is of."""
        return _DeployedApp(self.app.name)

    def refuse_local(self, *_: object, **__: object) -> object:
        """Say that it cannot be called here."""
        raise InvalidError(
            f"{self.name}() of the deployed app {self.app.name!r} is on the server alone: write {self.name}.remote(…)"
        )

    @property
    def is_pinned(self) -> bool:
        """Whether one version is wanted, whichever serves."""
        return self.version is not None

    @property
    def is_generator(self) -> bool:
        """Whether it yields items; known once it was looked up."""
        return self.function is not None and self.function.is_generator

    def target(self, method: str, *, wants_generator: bool | None) -> RegisteredFunction:
        """Return it for one use; `method` and what that wants are for the error where it is of the other kind."""
        return _Target(self, method, wants_generator=wants_generator)

    async def ask(self) -> ResolvedFunction:
        """Return what the name stands for."""
        if self.function is not None:
            return self.function
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _look_up(self, app: AppName) -> ResolvedFunction:
        return await current_client().deployments.resolve(app, self.name, self.version)

    async def _ask(self) -> ResolvedFunction:
        try:
            app = self.app
            if guest.find_platform is None:  # a container has those of its app, whatever it says
                config = read_config()
                app = app.completed(config.workspace, config.environment)
            self.function = await self._look_up(app)
        finally:
            self._asking = None
        return self.function


class _DeployedApp:
    """See `FunctionOwner`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def current_run(self, wanted: str) -> AppRun:
        """Refuse: it runs by itself."""
        raise InvalidError(f"{wanted} needs no run of {self.name!r}, which is deployed")


class _Target(RegisteredFunction):
    """One use of the function on the server, whichever version of it serves."""

    def __init__(self, found: NamedFunction, method: str, *, wants_generator: bool | None) -> None:
        super().__init__(Cancelling(), self.function_id)
        self._found = found
        self._method = method
        self._wants_generator = wants_generator
        self._id = found.function.function_id if found.function is not None else None

    async def function_id(self) -> str:
        """See `RegisteredFunction`."""
        found = await self._found.ask()
        wanted = self._wants_generator
        if wanted is not None and wanted != found.is_generator:
            raise InvalidError(
                wrong_kind(self._found.name, self._method, is_generator=found.is_generator)
            )
        self._id = found.function_id
        return found.function_id

    def direct(self, call_id: str, args: bytes) -> DirectCall | None:
        """See `RegisteredFunction`. Where a version is wanted that may not serve, the server has to be told so."""
        found = self._found.function
        if self._found.is_pinned or found is None or found.is_generator:
            return None
        return super().direct(call_id, args)

    async def call(
        self, call_id: str, args: bytes, options: CallOptions | None, *, is_repeat: bool = False
    ) -> Ended:
        """See `RegisteredFunction`."""

        async def attempt() -> Ended:
            await self.function_id()
            return await super(_Target, self).call(
                call_id, args, self._with_version(options), is_repeat=is_repeat
            )

        return await self._meeting_versions(attempt)

    async def open_call(self, opening: Submission) -> str:
        """See `RegisteredFunction`."""

        async def attempt() -> str:
            function_id = await self.function_id()
            is_generator = self._found.function is not None and self._found.function.is_generator
            kind = "generator" if is_generator else opening.kind
            options = self._with_version(opening.options)
            return await current_client().submit(
                replace(opening, function_id=function_id, kind=kind, options=options)
            )

        return await self._meeting_versions(attempt)

    def forget(self) -> None:
        """Look the name up again before the next call."""
        self._found.function = None
        self._id = None

    def _with_version(self, options: CallOptions | None) -> CallOptions | None:
        if not self._found.is_pinned:
            return options
        return replace(options or CallOptions(), any_version=True)

    async def _meeting_versions(self, attempt: Callable[[], Awaitable[T]]) -> T:
        tries = 1
        while True:
            try:
                return await attempt()
            except SupersededError:
                if tries >= _TRIES:
                    raise
                tries += 1
                self.forget()


def find(app: str, name: str, version: int | str | None, environment: str | None) -> NamedFunction:
    """See `Function.from_name`. Raises `InvalidError` for what can be no name or version."""
    right = 'Function.from_name("my-app", "my_function")'
    check_names(app, ("function", name), version, right)
    return NamedFunction(AppName(app, environment=environment or ""), name, version)


def check_names(app: object, named: tuple[str, object], version: object, right: str) -> None:
    """Refuse what can be no name of an app or of what is `named` in it, or no version; `right` is how to write it."""
    for what, value in (("an app", app), (f"a {named[0]}", named[1])):
        if not isinstance(value, str) or not value.strip():
            raise InvalidError(f"{value!r} is no name of {what}: write {right}")
    is_version = isinstance(version, int | str) and not isinstance(version, bool)
    if version is not None and not is_version:
        raise InvalidError(f"version={version!r} is neither a number nor a tag")
    if isinstance(version, int) and not 0 < version < 1 << 32:
        raise InvalidError(f"version={version} is no number of a version: they count from 1")
    if version == "":
        raise InvalidError("version='' is no tag: leave it out for the version that serves")
