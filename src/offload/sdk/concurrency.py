"""`@concurrent` and `@batched`: how the containers of a function share out its inputs. Pure.

They leave a mark on what they decorate, which `@app.function()` above them takes for its options; below it they change those.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast, overload

from offload.errors import InvalidError
from offload.sdk.option_checks import check_number, check_whole
from offload.sdk.options import Batching, Concurrency

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from offload.sdk.options import FunctionOptions

F = TypeVar("F")
R = TypeVar("R")

if TYPE_CHECKING:
    # Each parameter is a list, which no type says of all of them.
    OfLists = Callable[..., list[R]]  # type: ignore[explicit-any]
    AsyncOfLists = Callable[..., Coroutine[object, object, list[R]]]  # type: ignore[explicit-any]
    OfOne = Callable[..., R]  # type: ignore[explicit-any]
    AsyncOfOne = Callable[..., Coroutine[object, object, R]]  # type: ignore[explicit-any]

MAX_INPUTS = 1000
MAX_WAIT_MS = 60_000

# Attributes of functions, and plain tuples, because functions travel with them and containers need not import this.
_CONCURRENT = "__offload_concurrent__"
_BATCHED = "__offload_batched__"


class Marks(NamedTuple):
    """What the decorators below `@app.function()` say."""

    concurrency: Concurrency | None
    batching: Batching | None

    def added_to(self, options: FunctionOptions) -> FunctionOptions:
        """Return the options with what is marked. Raises `InvalidError`."""
        return options.sharing(self.concurrency, self.batching)


class BatchDecorator(Protocol):
    """Turns a function of lists into one whose remote calls take and give one element each."""

    @overload
    def __call__(self, function: AsyncOfLists[R], /) -> AsyncOfOne[R]: ...
    @overload
    def __call__(self, function: OfLists[R], /) -> OfOne[R]: ...


def concurrent(
    *misused: object, max_inputs: int | None = None, target_inputs: int | None = None
) -> Callable[[F], F]:
    """Return a decorator that has each container run up to `max_inputs` inputs at the same time.

    A function that is not async runs each in a thread, an async one all on one event loop. Beyond `target_inputs` for each
    container (by default `max_inputs`) more containers are started.
    """
    try:
        if misused or max_inputs is None:
            raise InvalidError(_misuse("@offload.concurrent", "max_inputs=10"))
        check_whole("max_inputs", max_inputs, 1, MAX_INPUTS)
        target = max_inputs if target_inputs is None else target_inputs
        check_whole("target_inputs", target, 1, MAX_INPUTS)
        if target > max_inputs:
            raise InvalidError(
                f"target_inputs={target} is more than max_inputs={max_inputs}: a container would never run so many"
            )
    except InvalidError as error:
        error.__traceback__ = None  # the caller's line is then the last
        raise
    made = Concurrency(max_inputs, target)
    return lambda decorated: _mark(decorated, "@offload.concurrent", _CONCURRENT, made)


def batched(
    *misused: object, max_batch_size: int | None = None, wait_ms: float | None = None
) -> BatchDecorator:
    """Return a decorator that has the function called once for up to `max_batch_size` inputs.

    It takes a list for each of its parameters and returns a list with a result for each input, or an exception to raise there. The
    first input of a batch waits at most `wait_ms` for others.
    """
    try:
        if misused or max_batch_size is None or wait_ms is None:
            raise InvalidError(_misuse("@offload.batched", "max_batch_size=16, wait_ms=50"))
        check_whole("max_batch_size", max_batch_size, 1, MAX_INPUTS)
        check_number("wait_ms", wait_ms, 0, MAX_WAIT_MS)
    except InvalidError as error:
        error.__traceback__ = None  # the caller's line is then the last
        raise
    made = Batching(max_batch_size, wait_ms)

    def decorate(decorated: object) -> object:
        return _mark(decorated, "@offload.batched", _BATCHED, made)

    return cast("BatchDecorator", decorate)


def marks_of(function: object) -> Marks:
    """Return what the decorators below have left on a function, or on a class."""
    own = getattr(function, "__dict__", {})
    concurrency, batching = own.get(_CONCURRENT), own.get(_BATCHED)
    return Marks(
        Concurrency(*concurrency) if concurrency else None,
        Batching(*batching) if batching else None,
    )


def _mark(decorated: F, name: str, attribute: str, value: Concurrency | Batching) -> F:
    change = getattr(decorated, "share_containers", None)
    try:
        if change is not None:  # it has been made a `Function` already
            change(*_as_arguments(value))
        elif not callable(decorated):
            raise InvalidError(f"{name}(…) decorates functions, not {type(decorated).__name__}")
        else:
            _put(decorated, name, attribute, value)
    except InvalidError as error:
        error.__traceback__ = None  # the caller's line is then the last
        raise
    return decorated


def _as_arguments(value: Concurrency | Batching) -> tuple[Concurrency | None, Batching | None]:
    return (value, None) if isinstance(value, Concurrency) else (None, value)


def _put(decorated: object, name: str, attribute: str, value: Concurrency | Batching) -> None:
    if attribute == _BATCHED:
        check_batched(decorated)
    target = decorated.__func__ if isinstance(decorated, MethodType) else decorated
    try:
        setattr(target, attribute, tuple(value))
    except (AttributeError, TypeError):
        raise InvalidError(
            f"{name}(…) cannot mark {decorated!r}: put it on a function of your own that calls it"
        ) from None


def check_batched(function: object) -> None:
    """Refuse what cannot be called for a batch. Raises `InvalidError`."""
    code = function.__code__ if isinstance(function, FunctionType) else None
    name = getattr(function, "__name__", "the function")
    if code is None:
        return
    if code.co_flags & (0x20 | 0x200):  # inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
        raise InvalidError(
            f"{name}() is a generator, which cannot be batched: return a list with a result for each input"
        )
    if code.co_flags & (0x04 | 0x08):  # inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
        raise InvalidError(
            f"{name}() takes *args or **kwargs, and a batched function gets a list for each parameter: name its parameters"
        )
    if not code.co_argcount + code.co_kwonlyargcount:
        raise InvalidError(
            f"{name}() takes no arguments, and a batched function gets a list for each parameter: give it one"
        )


def _misuse(name: str, example: str) -> str:
    return f"{name} needs brackets, and its options by name: write {name}({example})"
