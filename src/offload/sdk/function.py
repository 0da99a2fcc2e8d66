"""Functions: what a user decorated, and every way to call it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, ParamSpec, Protocol, TypeVar, cast

from offload.errors import InvalidError
from offload.sdk.blocking import ExchangeWork, StreamWork, Work, blocking, blocking_stream
from offload.sdk.kinds import check_function, is_generator, is_web_endpoint, wrong_kind

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Unpack

    from offload.sdk.call import FunctionCall
    from offload.sdk.call_options import CallOptions
    from offload.sdk.deployed import NamedFunction
    from offload.sdk.inside import InsideRun
    from offload.sdk.map_call import Arguments
    from offload.sdk.options import Batching, CallArguments, Concurrency, FunctionOptions
    from offload.sdk.run import AppRun, RegisteredFunction
    from offload.sdk.sources import Source
    from offload.sdk.values import Ended


P = ParamSpec("P")
L = TypeVar("L", covariant=True)  # noqa: PLC0105  # what a local call gives
R = TypeVar("R", covariant=True)  # noqa: PLC0105  # what a remote call gives, or each item of a generator


class FunctionOwner(Protocol):
    """What a function asks of its app."""

    name: str

    def current_run(self, wanted: str) -> AppRun | InsideRun:
        """Return the innermost open run. Raises `AppNotRunningError` where there is none."""
        ...


class Function(Generic[P, L, R]):
    """A function that can be called here (`f(x)`, `f.local(x)`) and in containers (`f.remote(x)` and the others)."""

    is_class = False  # stands for a class's containers, and is not called itself
    is_partial = False  # of a class whose parameters have to be given

    def __init__(
        self,
        app: FunctionOwner,
        function: Callable[P, L],
        options: FunctionOptions,
        call_options: CallOptions | None = None,
    ) -> None:
        check_function(function, options)
        self.app = app
        self.options = options
        self.call_options = call_options  # None: the defaults
        self._registered_as = self
        self._was_variant = False  # made by `with_options`
        self._found: NamedFunction | None = None  # where it was found by name
        self.name = str(options.name or function.__name__)
        self.raw_function = function
        self.is_generator = is_generator(function)
        self.__doc__ = function.__doc__
        self.__name__ = self.name
        self.__module__ = str(function.__module__)
        self.__wrapped__ = function

    @staticmethod
    def from_name(  # type: ignore[explicit-any]  # nobody here knows its types
        app: str,
        name: str,
        *,
        version: int | str | None = None,
        environment_name: str | None = None,
    ) -> Function[..., Any, Any]:
        """Return a function of a deployed app, to call from any process. Looked up when it is first called.

        Calls go to the version that serves, also after the next deployment, unless `version` names one by its number or
        tag. The environment is that of the settings, unless it is named.
        """
        from offload.sdk.deployed import find

        try:
            return _of_name(find(app, name, version, environment_name))
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise

    def __getstate__(self) -> dict[str, object]:
        # What travels to a container is the definition; the connection, the run and what is not for user code stay.
        if self._found is not None:
            app, version = self._found.app, self._found.version
            found = (app.name, self._found.name, version, app.environment)
            return {"found": found, "call_options": self.call_options}
        return {
            "app": self.app,
            "options": self.options._replace(image=None, schedule=None, secrets=()),
            "call_options": self.call_options,
            "function": self.raw_function,
            "is_variant": self.is_variant,
        }

    def __setstate__(self, state: dict[str, object]) -> None:
        if "found" in state:
            from offload.sdk.deployed import find

            named = _of_name(find(*cast("tuple[str, str, int | None, str]", state["found"])))
            self.__dict__.update(named.__dict__)
            self.call_options = cast("CallOptions | None", state["call_options"])
            return
        function = cast("Callable[P, L]", state["function"])
        self.app = cast("FunctionOwner", state["app"])
        self.options = cast("FunctionOptions", state["options"])
        self.call_options = cast("CallOptions | None", state["call_options"])
        self._registered_as = self
        self._was_variant = bool(state["is_variant"])
        self._found = None
        self.raw_function = function
        self.is_generator = is_generator(function)
        # While a recursive function is being unpickled it has no name yet.
        self.name = self.options.name or str(getattr(function, "__name__", ""))
        self.__name__ = self.name

    def __repr__(self) -> str:
        of = self.app if self._found is None else f"deployed app {self.app.name!r}"
        return f"<Function {self.name} of {of}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> L:
        """Call the function here."""
        return self.raw_function(*args, **kwargs)

    def local(self, *args: P.args, **kwargs: P.kwargs) -> L:
        """Call the function here, as if it were not decorated."""
        return self.raw_function(*args, **kwargs)

    def with_options(self, **options: Unpack[CallArguments]) -> Function[P, L, R]:
        """Return the same function with some options changed; this one stays as it is.

        Where only options of calls are changed, both use the same containers.
        """
        from offload.sdk import call_options
        from offload.sdk.options import split_arguments

        of_function, of_calls = split_arguments(options)
        try:
            if of_function and self._found is not None:
                raise InvalidError(
                    f"{next(iter(of_function))} of {self.name}() is what it was deployed with: change it in its program "
                    "and deploy that again"
                )
            changed = self.options.changed(**of_function)
            calls = call_options.changed(self.call_options, of_calls)
            if changed != self.options:
                other: Function[P, L, R] = Function(self.app, self.raw_function, changed, calls)
                other._was_variant = True  # of our own class
                return other
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        same: Function[P, L, R] = object.__new__(Function)
        same.__dict__.update(self.__dict__)  # also what it is registered as
        same.call_options = calls
        return same

    def share_containers(self, concurrency: Concurrency | None, batching: Batching | None) -> None:
        """Change how its containers share out its inputs, as decorators above `@app.function()` want it."""
        if batching is not None:
            from offload.sdk.concurrency import check_batched

            check_batched(self.raw_function)
        self.options = self.options.sharing(concurrency, batching)

    @blocking
    def remote(self, /, *args: P.args, **kwargs: P.kwargs) -> Work[Ended, R]:
        """Run the function in a container and return its result, or raise what it raised."""
        registered = self._for("remote", wants_generator=False)
        call_id = self._new_call_id()
        data = self._dump(args, kwargs)
        value = partial(self._value, call_id)
        direct = registered.direct(call_id, data) if self.call_options is None else None
        if direct is not None:
            return ExchangeWork(direct, value)
        return Work(registered.call(call_id, data, self.call_options), value)

    @blocking_stream
    def remote_gen(self, /, *args: P.args, **kwargs: P.kwargs) -> StreamWork[object, R]:
        """Run a generator in a container and yield its items as they come."""
        from offload.sdk.call import FunctionCall

        registered = self._for("remote_gen", wants_generator=True)
        data = self._dump(args, kwargs)
        call: FunctionCall[R] = FunctionCall(self._new_call_id(), self.name, "generator")
        calls = self.call_options
        return StreamWork(lambda _: registered.follow(call.object_id, data, calls), call.items_of)

    @blocking
    def spawn(self, /, *args: P.args, **kwargs: P.kwargs) -> Work[str, FunctionCall[R]]:
        """Start the function in a container and return the call at once, when it is on the server's disk."""
        from offload.sdk.call import FunctionCall

        registered = self._for("spawn", wants_generator=None)
        data = self._dump(args, kwargs)
        submit = registered.submit(
            self._new_call_id(), data, self.call_options, kind=self._kind, attached=False
        )
        return Work(submit, lambda call_id: FunctionCall(call_id, self.name, self._kind))

    @blocking_stream
    def map(
        self,
        *iterators: Source[object],
        order_outputs: bool = True,
        return_exceptions: bool = False,
    ) -> StreamWork[Ended, R]:
        """Run the function for each element and yield the results as they come, in order unless told otherwise.

        An input that fails raises at its place; with `return_exceptions` its exception is yielded instead. The
        iterators may be slow, endless or async: they run in a thread of their own (async ones on the caller's
        loop), and only a bounded number of inputs is under way.
        """
        from offload.sdk.sources import check_sources, zipped

        check_sources(iterators, "map")
        inputs = self._inputs(zipped, iterators)
        return self._map(
            "map", inputs, order_outputs=order_outputs, return_exceptions=return_exceptions
        )

    @blocking_stream
    def starmap(
        self,
        iterator: Source[Iterable[object]],
        *,
        order_outputs: bool = True,
        return_exceptions: bool = False,
    ) -> StreamWork[Ended, R]:
        """Do as `map`, with all arguments of an input in one element."""
        from offload.sdk.sources import check_sources, starred

        check_sources((iterator,), "starmap")
        inputs = self._inputs(starred, iterator)
        return self._map(
            "starmap", inputs, order_outputs=order_outputs, return_exceptions=return_exceptions
        )

    @blocking
    def for_each(
        self, *iterators: Source[object], ignore_exceptions: bool = False
    ) -> Work[tuple[str, Ended | None], None]:
        """Run the function for each element, wait for all, keep no result. Raises the first failure."""
        from offload.sdk.sources import check_sources, running_loop, zipped

        check_sources(iterators, "for_each")
        registered = self._for_attached("for_each")
        inputs = self._inputs(zipped, iterators, running_loop())
        run_all = registered.drain(inputs, self.call_options, stop_at_failure=not ignore_exceptions)
        return Work(run_all, self._nothing)

    @blocking
    def spawn_map(self, *iterators: Source[object]) -> Work[str, FunctionCall[list[R]]]:
        """Submit one input for each element and return the call, whose results are asked for later."""
        from offload.sdk.call import FunctionCall
        from offload.sdk.sources import check_sources, running_loop, zipped

        check_sources(iterators, "spawn_map")
        registered = self._for("spawn_map", wants_generator=False)
        submit = registered.submit_map(
            self._inputs(zipped, iterators, running_loop()), self.call_options
        )
        return Work(submit, lambda call_id: FunctionCall(call_id, self.name, "map"))

    @blocking
    def update_autoscaler(
        self,
        *,
        min_containers: int | None = None,
        max_containers: int | None = None,
        buffer_containers: int | None = None,
        scaledown_window: float | None = None,
    ) -> Work[None, None]:
        """Change how many containers the function may have, for the rest of the app's run; None leaves it as it is."""
        from offload.sdk.options import check_scaling
        from offload.sdk.values import Scaling

        scaling = Scaling(min_containers, max_containers, buffer_containers, scaledown_window)
        check_scaling(scaling._asdict())
        registered = self._for("update_autoscaler", wants_generator=None)
        return Work(registered.scale(scaling), lambda _: None)

    @blocking
    def get_web_url(self) -> Work[str, str]:
        """Return the address of this web endpoint in the app's run, or of the deployed app."""
        from offload.sdk.web_urls import url_of

        registered = self._registered(f"{self.name}.get_web_url()", wants_generator=None)
        return Work(url_of(registered, self.name, getattr(self, "method", "")), str)

    def answer_requests(self) -> None:
        """Be the web endpoint that a decorator above `@app.function()` has made of its function."""
        from offload.sdk.kinds import with_marks

        self.options = with_marks(self.raw_function, self.options)

    @property
    def is_variant(self) -> bool:
        """Whether the app's function of this name is another one."""
        known = getattr(self.app, "functions", {}).get(self.name, self._registered_as)
        return self._was_variant or known is not self._registered_as

    def register(self, run: AppRun | InsideRun) -> RegisteredFunction:
        """Return this function in a run of its app."""
        return run.register(self._registered_as)

    @property
    def _kind(self) -> str:
        of = self if self._found is None else self._found
        return "generator" if of.is_generator else "single"

    def _dump(self, args: tuple[object, ...], kwargs: dict[str, object]) -> bytes:
        from offload.sdk import serialize

        return serialize.dumps((args, kwargs))

    def _inputs(  # type: ignore[explicit-any]  # whatever `make` takes
        self, make: Callable[..., Iterator[Arguments]], *sources: object
    ) -> Callable[..., Iterator[Arguments]]:
        return partial(make, *sources)

    def _new_call_id(self) -> str:
        """Return a fresh id; an empty one where the server is to find the call by its key."""
        from offload.sdk.ids import new_id

        if self.call_options is not None and self.call_options.idempotency_key is not None:
            return ""
        return new_id("fc-")

    def _for_attached(self, method: str) -> RegisteredFunction:
        if self.call_options is not None and self.call_options.idempotency_key is not None:
            raise InvalidError(
                f"{self.name}.{method}() cannot have an idempotency_key: its inputs are sent while results come, and the "
                f"call ends with the loop, so it cannot be shared. Write {self.name}.with_options(…).spawn_map(…).get()"
            )
        return self._for(method, wants_generator=False)

    def _for(self, method: str, *, wants_generator: bool | None) -> RegisteredFunction:
        if is_web_endpoint(self) and method != "update_autoscaler":
            raise InvalidError(
                f"{self.name}() answers web requests: ask {self.name}.get_web_url(), or call {self.name}.local(…)"
            )
        return self._registered(method, wants_generator=wants_generator)

    def _registered(self, method: str, *, wants_generator: bool | None) -> RegisteredFunction:
        if self._found is not None:
            return self._found.target(method, wants_generator=wants_generator)
        run = self.app.current_run(f"{self.name}.{method}()")
        if wants_generator is not None and wants_generator != self.is_generator:
            raise InvalidError(wrong_kind(self.name, method, is_generator=self.is_generator))
        return self.register(run)

    def _value(self, call_id: str, ended: Ended) -> R:
        from offload.sdk.call import value_of

        return cast("R", value_of(ended, call_id, self.name))

    def _nothing(self, done: tuple[str, Ended | None]) -> None:
        call_id, failed = done
        if failed is not None:
            self._value(call_id, failed)

    def _map(
        self,
        method: str,
        inputs: Callable[[asyncio.AbstractEventLoop | None], Iterator[Arguments]],
        *,
        order_outputs: bool,
        return_exceptions: bool,
    ) -> StreamWork[Ended, R]:
        from offload.sdk.map_call import MapCall
        from offload.sdk.map_results import Order, stream

        call = MapCall(self._for_attached(method), self.call_options)
        order = Order(self.name, order_outputs, return_exceptions)
        return cast("StreamWork[Ended, R]", stream(call, inputs, order))


def _of_name(found: NamedFunction) -> Function[..., Any, Any]:  # type: ignore[explicit-any]  # see `from_name`
    from offload.sdk.options import parse_options

    options = parse_options(name=found.name)
    made: Function[..., Any, Any] = Function(found.owner, found.refuse_local, options)  # type: ignore[explicit-any]
    made._found = found  # noqa: SLF001  # this module's own
    return made
