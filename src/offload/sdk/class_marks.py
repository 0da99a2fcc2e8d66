"""What users write inside a class for `@app.cls()`: its methods, its hooks, its parameters."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from offload.errors import InvalidError
from offload.sdk.life_cycle import ENTER, EXIT, MARK, METHOD, SNAP, Parameter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
    from typing import Concatenate, Protocol

    from offload.sdk.function import Function

S = TypeVar("S")
P = ParamSpec("P")
L = TypeVar("L", covariant=True)  # noqa: PLC0105  # what a local call gives
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
X = TypeVar("X")
Y = TypeVar("Y")

_HookOrMethod = TypeVar("_HookOrMethod")


class MethodOf(Generic[P, L, R_co]):
    """A method as type checkers see it: on an instance it is a `Function`."""

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type) -> Function[P, L, R_co]:
            """Return the method of an instance."""

        def __call__(self, instance: object, /, *args: P.args, **kwargs: P.kwargs) -> L:
            """Call it on an instance, as `super()` does."""


if TYPE_CHECKING:

    class MethodDecorator(Protocol):
        """Turns a method into one whose remote calls give what awaiting or iterating would."""

        @overload
        def __call__(
            self, function: Callable[Concatenate[S, P], Coroutine[X, Y, R]], /
        ) -> MethodOf[P, Coroutine[X, Y, R], R]: ...
        @overload
        def __call__(
            self, function: Callable[Concatenate[S, P], AsyncIterator[R]], /
        ) -> MethodOf[P, AsyncIterator[R], R]: ...
        @overload
        def __call__(
            self, function: Callable[Concatenate[S, P], Generator[R, X, Y]], /
        ) -> MethodOf[P, Generator[R, X, Y], R]: ...
        @overload
        def __call__(
            self, function: Callable[Concatenate[S, P], Iterator[R]], /
        ) -> MethodOf[P, Iterator[R], R]: ...
        @overload
        def __call__(self, function: Callable[Concatenate[S, P], R], /) -> MethodOf[P, R, R]: ...


def method(*misused: object) -> MethodDecorator:
    """Return a decorator that makes a method of an `@app.cls()` class callable remotely."""
    _check_brackets(misused, "@offload.method()")

    def decorate(function: object) -> object:
        return _mark(function, METHOD, "@offload.method()")

    return cast("MethodDecorator", decorate)


def enter(*misused: object, snap: bool = False) -> Callable[[_HookOrMethod], _HookOrMethod]:
    """Return a decorator for a method that runs once in each container, before its first input.

    With `snap` it runs before those without. Where the class has `enable_memory_snapshot=True` it runs in the template that
    containers are forked from, once for all of them.
    """
    _check_brackets(misused, "@offload.enter()")
    role = SNAP if snap else ENTER
    return lambda function: _mark(function, role, "@offload.enter()")


def exit(*misused: object) -> Callable[[_HookOrMethod], _HookOrMethod]:  # noqa: A001 - the field's name for it
    """Return a decorator for a method that runs once in each container, after its last input."""
    _check_brackets(misused, "@offload.exit()")
    return lambda function: _mark(function, EXIT, "@offload.exit()")


@overload
def parameter(*, default: T, init: bool = True) -> T: ...
@overload
def parameter(*, init: bool = True) -> Any: ...  # type: ignore[explicit-any]  # noqa: ANN401  # whatever it is declared as
def parameter(**options: object) -> object:
    """Return what declares a parameter of a class: `size: str = offload.parameter(default="small")`.

    Each set of values has containers of its own. It is a `str`, `int`, `bool` or `bytes`; without a default it has to be given. One
    with `init=False` is not given but has its default, or is set by a hook.
    """
    unknown = options.keys() - {"default", "init"}
    try:
        if unknown:
            raise InvalidError(
                f"parameter({min(unknown)}=…) is unknown: write parameter(default=…, init=True)"
            )
        init = options.pop("init", True)
        if not isinstance(init, bool):
            raise InvalidError(f"parameter(init={init!r}) is neither True nor False")
    except InvalidError as error:
        error.__traceback__ = None  # the caller's line is then the last
        raise
    return Parameter(*options.values(), init=init)


def _check_brackets(misused: tuple[object, ...], example: str) -> None:
    if misused:
        error = InvalidError(f"{example.split('(', maxsplit=1)[0]} needs brackets: write {example}")
        raise error


def _mark(function: _HookOrMethod, role: str, name: str) -> _HookOrMethod:
    try:
        if not isinstance(function, FunctionType):
            raise InvalidError(
                f"{name} decorates plain methods of a class, not {type(function).__name__}"
            )
        if MARK in function.__dict__:
            raise InvalidError(
                f"{function.__name__}() has {name} and another mark: a method is either called, or a hook"
            )
        if role != METHOD:
            _check_hook(function, name)
    except InvalidError as error:
        error.__traceback__ = None  # the caller's line is then the last
        raise
    function.__dict__[MARK] = role
    return function


def _check_hook(function: FunctionType, name: str) -> None:
    code = function.__code__
    takes = code.co_argcount + code.co_kwonlyargcount - len(function.__defaults__ or ())
    if takes != 1:
        raise InvalidError(f"{function.__name__}() has {name}, which is called with self alone")
    if code.co_flags & (0x20 | 0x200):  # inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
        raise InvalidError(
            f"{function.__name__}() has {name} and yields: nobody would take what it gives"
        )
