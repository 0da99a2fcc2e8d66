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

_CO_GENERATOR = (
    0x20 | 0x200
)  # inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR; `inspect` is slow to import


class Callee(NamedTuple):
    """One function that inputs may call."""

    function: UserFunction
    name: str  # for people
    is_generator: bool


class Callees:
    """All of them, by the name that an input gives; a function's inputs give none."""

    done_in_template = "importing it"  # of user code, before a container is forked

    def __init__(self, by_name: dict[str, Callee]) -> None:
        self._by_name = by_name

    @property
    def wants_loop(self) -> bool:
        """Whether one of them needs an event loop that also runs while no input does."""
        return any(getattr(each.function, "wants_loop", False) for each in self._by_name.values())

    @property
    def any(self) -> Callee:
        """The function, or one of the methods: where it matters which kind they are, all are of the same."""
        return next(iter(self._by_name.values()))

    def all(self) -> list[Callee]:
        """Return each of them."""
        return list(self._by_name.values())

    def find(self, name: str) -> Callee:
        """Return what an input calls that gives this name. Raises `TypeError`."""
        found = self._by_name.get(name)
        if found is None:
            known = ", ".join(repr(each) for each in self._by_name if each)
            if not known:
                raise TypeError(f"it is a function, and has no method {name!r}")
            raise TypeError(f"it is a class, whose methods are called: {known}; not {name!r}")
        return found


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
    if args.is_web:
        from offload.wire.guest.web import decode_request  # noqa: PLC0415 - few containers need it

        with args.open() as file:
            head = decode_request(file.read())
        return (head,), {}, head.target
    made: tuple[object, ...] = args.load()  # type: ignore[assignment]  # as the caller's side makes them
    return made[0], made[1], made[2] if len(made) > 2 else ""  # type: ignore[return-value]  # as above
