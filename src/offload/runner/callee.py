"""What inputs call: the user's function, or one of the methods of an instance."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NamedTuple, Protocol

    from offload.runner.bodies import Incoming

    class UserFunction(Protocol):
        """The function as the runner knows it: anything goes in, anything comes out."""

        def __call__(self, *args: object, **kwargs: object) -> object:
            """Call it."""

else:
    from offload.wire.records import NamedTuple

# As `inspect` has them, which is slow to import.
_CO_GENERATOR = 0x20 | 0x200  # CO_GENERATOR | CO_ASYNC_GENERATOR
_CO_ASYNC = 0x80 | 0x200  # CO_COROUTINE | CO_ASYNC_GENERATOR


class Callee(NamedTuple):
    """One function that inputs may call."""

    function: UserFunction
    name: str  # for people
    is_generator: bool


class Callees(dict[str, Callee]):
    """All of them, by the name that an input gives; a function's inputs give none. Another name raises `TypeError`."""

    done_in_template = "importing it"  # of user code, before a container is forked

    @property
    def wants_loop(self) -> bool:
        """Whether one of them needs an event loop that also runs while no input does."""
        return any(getattr(each.function, "wants_loop", False) for each in self.values())

    @property
    def any(self) -> Callee:
        """The function, or one of the methods: where it matters which kind they are, all are of the same."""
        return next(iter(self.values()))

    def __missing__(self, name: str) -> Callee:
        known = ", ".join(repr(each) for each in self if each)
        if not known:
            raise TypeError(f"it is a function, and has no method {name!r}")
        raise TypeError(f"it is a class, whose methods are called: {known}; not {name!r}")


def of_function(function: UserFunction, name: str, *, is_generator: bool) -> Callees:
    """Return a function as all that can be called."""
    return Callees({"": Callee(function, name, is_generator)})


def of_methods(
    instance: object, class_name: str, names: tuple[str, ...], in_place: Mapping[str, UserFunction]
) -> Callees:
    """Return the methods of an instance, some of them with others in their places."""
    found = {}
    for name in names:
        method = in_place.get(name) or getattr(instance, name)
        flags = getattr(getattr(method, "__code__", None), "co_flags", 0)
        found[name] = Callee(method, f"{class_name}.{name}", bool(flags & _CO_GENERATOR))
    return Callees(found)


def arguments_of(args: Incoming) -> tuple[tuple[object, ...], dict[str, object], str]:
    """Return an input's arguments, and the name of the method that it is for; empty where that is a function."""
    made: tuple[object, ...] = args.load()  # type: ignore[assignment]  # as the caller's side makes them
    return made[0], made[1], made[2] if len(made) > 2 else ""  # type: ignore[return-value]  # as above


def is_async(function: object) -> bool:
    """Whether calling the function gives something to await or to iterate over asynchronously."""
    while True:
        inner = getattr(function, "func", None) or getattr(function, "__wrapped__", None)
        if inner is None or hasattr(function, "__code__"):
            break
        function = inner
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004 - it is
    return bool(getattr(code, "co_flags", 0) & _CO_ASYNC)
