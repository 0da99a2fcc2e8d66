"""Classes whose instances serve inputs: what is marked in them, and how an instance comes to be.

Decorators leave marks on functions, plain values under names of our own, so that a class travels to its containers as it is.
Valid on CPython 3.9, because the runner makes the instances there and the SDK those of the caller's process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NamedTuple
else:
    from offload.wire.records import NamedTuple

MARK = "__offload_role__"
METHOD, SNAP, ENTER, EXIT = "method", "snap", "enter", "exit"

_ABSENT = object()


class Parameter:
    """A field of a class that its constructor sets. Until it is set, reading it from an instance raises `AttributeError`."""

    def __init__(self, default: object = _ABSENT, *, init: bool = True) -> None:
        self.default = default
        self.init = init
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[object, ...]:
        # "No default" is an object of this process, which must not travel as another one.
        default = (self.default,) if self.has_default else ()
        return _restore_parameter, (self.name, self.init, *default)

    def __get__(self, instance: object, owner: type) -> Parameter:
        if instance is None:
            return self
        raise AttributeError(f"{owner.__name__}.{self.name} has not been set")

    @property
    def has_default(self) -> bool:
        """Whether it may be left out."""
        return self.default is not _ABSENT


def _restore_parameter(name: str, init: bool, *default: object) -> Parameter:
    restored = Parameter(*default, init=init)
    restored.name = name
    return restored


class Blueprint(NamedTuple):
    """What instances are made of; pickles name this, so never renamed."""

    user_class: type
    parameters: Mapping[str, object]  # every one that has a value
    snapshot: bool  # made, and its snap hooks run, before a container is forked


class Roles(NamedTuple):
    """What a class does in a container, by the names of its attributes, in the order of their definition, bases first."""

    methods: tuple[str, ...]
    snap: tuple[str, ...]
    enter: tuple[str, ...]
    exit: tuple[str, ...]


def roles_of(user_class: type) -> Roles:
    """Return what is marked in a class and its bases. What overrides another takes its place, with its own mark or none."""
    marked: dict[str, str] = {}
    for owner in reversed(user_class.__mro__):
        for name, value in vars(owner).items():
            role = getattr(value, "__dict__", {}).get(MARK)
            if role is not None:
                marked[name] = role
            else:
                marked.pop(name, None)
    found = (tuple(n for n in marked if marked[n] == role) for role in (METHOD, SNAP, ENTER, EXIT))
    return Roles(*found)


def parameters_of(user_class: type) -> dict[str, Parameter]:
    """Return the parameters of a class by name, those of its bases first."""
    found: dict[str, Parameter] = {}
    for owner in reversed(user_class.__mro__):
        for name, value in vars(owner).items():
            if isinstance(value, Parameter):
                found[name] = value
            else:
                found.pop(name, None)
    return found


def make(blueprint: Blueprint) -> object:
    """Return a new instance, its parameters set before its constructor runs; whatever that raises passes through."""
    user_class = blueprint.user_class
    instance: object = user_class.__new__(user_class)  # type: ignore[call-overload]  # no type of types
    for name, value in blueprint.parameters.items():
        setattr(instance, name, value)
    instance.__init__()  # type: ignore[misc]  # it takes nothing, and finds its parameters set
    return instance


def run_hooks(
    instance: object, names: tuple[str, ...], wait_for: Callable[[object], object]
) -> None:
    """Run these hooks in order; `wait_for` runs what an async one returns. Whatever they raise passes through."""
    for name in names:
        returned = getattr(instance, name)()
        if hasattr(returned, "__await__"):
            wait_for(returned)
