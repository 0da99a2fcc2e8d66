"""Apps: what belongs together and runs together."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, cast, overload

from offload.errors import AppNotRunningError, InvalidError
from offload.sdk.app_defaults import AppDefaults
from offload.sdk.blocking import Work, blocking
from offload.sdk.entrypoint import LocalEntrypoint
from offload.sdk.function import Function
from offload.sdk.kinds import with_marks
from offload.sdk.options import parse_options, split_arguments

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Callable,
        Coroutine,
        Generator,
        Iterator,
        Mapping,
        Sequence,
    )
    from typing import Unpack

    from offload.sdk.call_options import CallOptions
    from offload.sdk.class_decorator import ClassArguments, ClassDecorator
    from offload.sdk.inside import InsideRun
    from offload.sdk.option_types import ImageChoice, SecretChoice, VolumeChoice
    from offload.sdk.options import FunctionOptions, OptionArguments
    from offload.sdk.run import AppRun
    from offload.sdk.run_context import RunContext
    from offload.sdk.values import Deployed, Output
    from offload.sdk.web import WebArguments

F = TypeVar("F")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
X = TypeVar("X")
Y = TypeVar("Y")


class FunctionDecorator(Protocol):
    """Turns what it decorates into a `Function`, whose remote calls give what awaiting or iterating would."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[X, Y, R]], /
    ) -> Function[P, Coroutine[X, Y, R], R]: ...
    @overload
    def __call__(
        self, function: Callable[P, AsyncIterator[R]], /
    ) -> Function[P, AsyncIterator[R], R]: ...
    @overload
    def __call__(
        self, function: Callable[P, Generator[R, X, Y]], /
    ) -> Function[P, Generator[R, X, Y], R]: ...
    @overload
    def __call__(self, function: Callable[P, Iterator[R]], /) -> Function[P, Iterator[R], R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Function[P, R, R]: ...


# Functions of every signature, as `offload run` finds them: only "..." says that.
AnyFunction = Function[..., object, object]  # type: ignore[explicit-any]
AnyEntrypoint = LocalEntrypoint[..., object]  # type: ignore[explicit-any]


class App:
    """A named group of functions. Inside `with app.run():` they can be called remotely."""

    def __init__(
        self,
        name: str,
        *,
        image: ImageChoice | None = None,
        secrets: Sequence[SecretChoice] = (),
        volumes: Mapping[str, VolumeChoice] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        checked: object = name
        try:
            if not isinstance(checked, str) or not checked.strip():
                raise InvalidError(
                    f'an app has a name: write offload.App("my-app"), not App({name!r})'
                )
            self._defaults = AppDefaults(image, secrets, {} if volumes is None else volumes)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        self.name = name
        self.image = image  # of functions that name none; None: the caller's own environment
        self.included: list[App] = []
        self.root: App = self  # the app that this one is a part of
        self._tags: dict[str, str] = {}
        self.functions: dict[str, AnyFunction] = {}
        self.entrypoints: dict[str, AnyEntrypoint] = {}
        self.runs: list[AppRun] = []  # that are open, the innermost last
        self._inside: InsideRun | None = None  # in a container: the run that it belongs to
        if tags is not None:
            self.set_tags(tags)

    def __reduce__(self) -> tuple[type[App], tuple[str]]:
        # A container needs no more of it than its name, and runs for the app that it is a part of.
        whole = self
        while whole.root is not whole:
            whole = whole.root
        return (App, (whole.name,))

    def __repr__(self) -> str:
        return f"App({self.name!r})"

    def function(self, *misused: object, **options: Unpack[OptionArguments]) -> FunctionDecorator:
        """Return a decorator that makes a function callable remotely, with the given options."""
        try:
            if misused:
                raise InvalidError(
                    "@app.function takes its options by name and needs brackets: write @app.function()"
                )
            of_function, of_calls = split_arguments(options)
            parsed = parse_options(**self._defaults.added_to(of_function))
            calls = _defaults_of_calls(parsed, of_calls)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        return cast("FunctionDecorator", _Decorator(self, parsed, calls))

    def cls(self, *misused: object, **options: Unpack[ClassArguments]) -> ClassDecorator:
        """Return a decorator that makes a class callable remotely by its methods, with the given options. See `Cls`."""
        from offload.sdk.class_decorator import ClassDecorator

        return ClassDecorator(self, misused, self._defaults.added_to(options))

    def web_endpoint(
        self,
        *misused: object,
        path: str = "/",
        method: str | Sequence[str] = "GET",
        **options: Unpack[WebArguments],
    ) -> Callable[[F], F]:
        """Return a decorator that has a function answer the requests for a path, which are given to it as arguments.

        What stands in braces in the path, the query and a JSON body are arguments by their names, as the function's type hints say;
        `request` is the request itself. It returns what JSON can say, such a value and a status, or a `WebResponse`.
        """
        from offload.sdk.web import web_endpoint

        return web_endpoint(misused, path, method, options)

    def local_entrypoint(
        self, *misused: object, name: str | None = None
    ) -> Callable[[Callable[P, R]], LocalEntrypoint[P, R]]:
        """Return a decorator for the function that `offload run` starts on the caller's machine."""
        try:
            if misused:
                raise InvalidError("write @app.local_entrypoint(), with brackets")
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise

        def decorate(function: Callable[P, R]) -> LocalEntrypoint[P, R]:
            entrypoint = LocalEntrypoint(function, name or function.__name__)
            self.entrypoints[entrypoint.name] = entrypoint
            return entrypoint

        return decorate

    def run(
        self,
        *,
        show_output: bool = True,
        output: Output | None = None,
        workspace: str | None = None,
        environment_name: str | None = None,
    ) -> RunContext[App]:
        """Return a context (`with` or `async with`) in which the app's functions can be called remotely.

        What they print appears here while they run, unless `show_output` is False; `output` takes it instead. The
        `workspace` is whose share of the machines they use, the environment whose named objects; None: those of the settings.
        """
        from offload.sdk.run_context import RunContext

        scope = (workspace, environment_name)
        return RunContext(self, output, scope, show_output=show_output)

    @property
    def tags(self) -> dict[str, str]:
        """What people are told of the app beside its name."""
        return dict(self._tags)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace the app's tags; a deployed app has them from its next deployment on."""
        from offload.sdk.deploy import check_tags

        try:
            self._tags = check_tags(tags)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise

    def include(self, other: App) -> App:
        """Take the functions and entrypoints of another app in, to run and deploy as if they were this one's.

        They keep the other app's defaults. Returns this app. Raises `InvalidError` where both have one of a name.
        """
        try:
            if not isinstance(other, App) or self in other.with_included():
                raise InvalidError(f"include({other!r}) takes another offload.App")
            for mine, theirs in (
                (self.functions.keys(), other.functions.keys()),
                (self.entrypoints.keys(), other.entrypoints.keys()),
            ):
                both = sorted(mine & theirs)
                if both:
                    raise InvalidError(
                        f"{self!r} and {other!r} both have {both[0]!r}: give one another name, with "
                        f'@app.function(name="…")'
                    )
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        self.functions.update(other.functions)
        self.entrypoints.update(other.entrypoints)
        self.included.append(other)
        other.root = self
        return self

    @blocking
    def deploy(
        self,
        name: str | None = None,
        *,
        environment_name: str | None = None,
        tag: str | None = None,
        workspace: str | None = None,
        check: bool = True,
        output: Output | None = None,
    ) -> Work[Deployed, Deployed]:
        """Make the functions the next version of the deployed app of this name, and return what came of that.

        They stay when this program ends: `Function.from_name` finds them from any process. Each is loaded in a container
        before calls go to it, unless `check` is False; where one cannot, this raises and the version before serves on.
        """
        from offload.sdk import deploy
        from offload.sdk.output import NoOutput
        from offload.sdk.values import AppName

        app = AppName(self.name if name is None else name, workspace or "", environment_name or "")
        new = deploy.prepare(app, self.functions.values(), self._tags, tag=tag, check=check)
        return Work(deploy.deploy(new, output or NoOutput()), _same)

    @property
    def is_running(self) -> bool:
        """Whether this is inside `app.run()`."""
        return bool(self.runs)

    @property
    def app_id(self) -> str:
        """The id of the running app. Raises `AppNotRunningError` outside of `app.run()`."""
        return self.current_run("app_id").app_id

    def with_included(self) -> list[App]:
        """Return this app and those that it includes, directly or not, each once."""
        apps = [self]
        for app in apps:
            apps += [other for other in app.included if other not in apps]
        return apps

    def current_run(self, wanted: str) -> AppRun | InsideRun:
        """Return the innermost open run; `wanted` names in the error what cannot be had without one."""
        if not self.runs:
            from offload.wire import guest

            if guest.find_platform is not None:
                from offload.sdk.inside import InsideRun

                self._inside = self._inside or InsideRun(self.name)
                return self._inside
            raise AppNotRunningError(
                f"{wanted} needs a running app: put it inside `with app.run():`, "
                f"or start the script with `offload run`. The app is {self.name!r}."
            )
        return self.runs[-1]


def _defaults_of_calls(
    options: FunctionOptions, arguments: dict[str, object]
) -> CallOptions | None:
    if not arguments:
        return None
    from offload.sdk.call_options import defaults_of

    return defaults_of(options.name or "f", arguments)


def _same(value: T) -> T:
    return value


class _Decorator:
    """See `FunctionDecorator`."""

    def __init__(
        self, app: App, options: FunctionOptions, call_options: CallOptions | None
    ) -> None:
        self._app = app
        self._options = options
        self._call_options = call_options

    def __call__(self, function: Callable[P, R], /) -> Function[P, R, R]:
        try:
            options = with_marks(function, self._options)
            made: Function[P, R, R] = Function(self._app, function, options, self._call_options)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        self._app.functions[made.name] = made
        return made
