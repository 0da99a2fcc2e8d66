"""Functions of deployed apps, found by name from any process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from offload.errors import InvalidError
from offload.sdk import call_options
from offload.sdk.call_options import CallOptions
from offload.sdk.cancelling import Cancelling
from offload.sdk.client.refusals import SupersededError
from offload.sdk.config import read_config
from offload.sdk.function import Function, wrong_kind
from offload.sdk.options import CALL_OPTIONS, FunctionOptions
from offload.sdk.run import DirectCall, RegisteredFunction
from offload.sdk.session import current_client
from offload.sdk.values import AppName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar, Unpack

    from offload.sdk.client import Submission
    from offload.sdk.options import CallArguments
    from offload.sdk.run import AppRun
    from offload.sdk.values import Ended, ResolvedFunction

    T = TypeVar("T")

# A call meets a new version once in a while; who meets one every time meets a bug.
_TRIES = 5


class DeployedApp:
    """The app of a function that was found by name. See `FunctionOwner`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def current_run(self, wanted: str) -> AppRun:
        """Refuse: it runs by itself."""
        raise InvalidError(f"{wanted} does not need a run of {self.name!r}: it is deployed")

    def __repr__(self) -> str:
        return f"deployed app {self.name!r}"


class DeployedFunction(Function[..., object, object]):  # type: ignore[explicit-any]  # any signature
    """See `Function.from_name`. Looked up when it is first called, and again when another version serves."""

    def __init__(self, app: AppName, name: str, version: int | str | None) -> None:
        self._wanted = (app, name, version)
        self.app = DeployedApp(app.name)
        self.name = self.__name__ = name
        self.options = FunctionOptions()
        self.call_options = None
        self.raw_function = partial(_refuse_local, name, app.name)
        self._found = _Found(app, name, version)
        self.__doc__ = None

    def __reduce__(self) -> tuple[object, ...]:
        app, name, version = self._wanted
        return find, (app.name, name, version, app.environment)

    def __repr__(self) -> str:
        app, name, version = self._wanted
        pinned = f", version={version!r}" if version is not None else ""
        return f"Function.from_name({app.name!r}, {name!r}{pinned})"

    @property
    def is_generator(self) -> bool:  # type: ignore[override]
        """Whether it yields items; known once it was called."""
        return self._found.function is not None and self._found.function.is_generator

    def with_options(self, **options: Unpack[CallArguments]) -> DeployedFunction:
        """Return the same function with other options of its calls; the others are those it was deployed with."""
        of_function = [name for name in options if name not in CALL_OPTIONS]
        if of_function:
            raise InvalidError(
                f"{of_function[0]} of {self.name!r} is what it was deployed with: change it in its program and deploy "
                f"that again. with_options() changes {', '.join(CALL_OPTIONS)}"
            )
        same: DeployedFunction = object.__new__(DeployedFunction)
        same.__dict__.update(self.__dict__)
        same.call_options = call_options.changed(self.call_options, options)
        return same

    def _for(self, method: str, *, wants_generator: bool | None) -> RegisteredFunction:
        return _Target(self._found, method, wants_generator=wants_generator)


class _Found:
    """What the server said of a name; asked for once, and again when that is no longer true."""

    def __init__(self, app: AppName, name: str, version: int | str | None) -> None:
        self.name = name
        self.is_pinned = version is not None
        self.function: ResolvedFunction | None = None
        self._app = app
        self._version = version
        self._asking: asyncio.Task[ResolvedFunction] | None = None

    async def ask(self) -> ResolvedFunction:
        """Return what the name stands for."""
        if self.function is not None:
            return self.function
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> ResolvedFunction:
        try:
            config = read_config()
            app = self._app.completed(config.workspace, config.environment)
            self.function = await current_client().deployments.resolve(
                app, self.name, self._version
            )
        finally:
            self._asking = None
        return self.function


class _Target(RegisteredFunction):
    """One use of the function on the server, whichever version of it serves."""

    def __init__(self, found: _Found, method: str, *, wants_generator: bool | None) -> None:
        super().__init__(Cancelling(), None)
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


def _refuse_local(name: str, app: str, *_args: object, **_kwargs: object) -> NoReturn:
    raise InvalidError(
        f"{name}() of the deployed app {app!r} is on the server alone: write {name}.remote(…)"
    )


def find(
    app: str, name: str, version: int | str | None, environment: str | None
) -> DeployedFunction:
    """See `Function.from_name`. Raises `InvalidError` for what can be no name or version."""
    for what, value in (("app", app), ("function", name)):
        if not isinstance(value, str) or not value.strip():
            raise InvalidError(
                f"{value!r} is no name of {'an' if what == 'app' else 'a'} {what}: "
                'write Function.from_name("my-app", "my_function")'
            )
    if version is not None and (isinstance(version, bool) or not isinstance(version, int | str)):
        raise InvalidError(f"version={version!r} is neither a number nor a tag")
    return DeployedFunction(AppName(app, environment=environment or ""), name, version)
