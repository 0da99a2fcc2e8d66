"""What callers of a class have to know of it: its parameters and its methods, as values that the server keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from offload.sdk.class_checks import type_of
from offload.sdk.kinds import is_generator
from offload.sdk.life_cycle import parameters_of, roles_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class ParameterShape(NamedTuple):
    """A parameter."""

    name: str
    type_name: str
    default: object  # None: there is none
    is_settable: bool


class ClassShape(NamedTuple):
    """A class."""

    parameters: tuple[ParameterShape, ...]
    methods: Mapping[str, bool]  # by name: whether it is a generator


def shape_of(user_class: type) -> ClassShape:
    """Return what a class is to its callers."""
    parameters = tuple(
        ParameterShape(
            name,
            type_of(user_class, name).__name__,
            each.default if each.has_default else None,
            each.init,
        )
        for name, each in parameters_of(user_class).items()
    )
    methods = {
        name: is_generator(getattr(user_class, name)) for name in roles_of(user_class).methods
    }
    return ClassShape(parameters, methods)


def settable(user_class: type, values: Mapping[str, object]) -> dict[str, object]:
    """Return those of the values that whoever makes an instance gives."""
    declared = parameters_of(user_class)
    return {name: value for name, value in values.items() if declared[name].init}
