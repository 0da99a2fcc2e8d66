"""Turns a Python signature into command line flags, and the flags' values back into arguments."""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offload.cli.exits import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    _Type = click.ParamType[object, typing.Never]


_SIMPLE: dict[object, _Type] = {
    int: click.INT,
    float: click.FLOAT,
    str: click.STRING,
    bool: click.BOOL,
    Path: click.Path(path_type=Path),
    datetime: click.DateTime(),
}
_TAKEN = (
    "int, float, str, bool, pathlib.Path, datetime, Literal, Enum, and list, tuple or None of these"
)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a type hint asks of the command line."""

    flag_type: _Type
    container: Callable[[Iterable[object]], object] | None = None
    is_optional: bool = False


class _UnsupportedError(Exception):
    """The type hint has no form on a command line."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of one function."""

    signature: inspect.Signature
    parameters: list[click.Parameter]
    _shapes: Mapping[str, _Shape]

    def arguments(self, values: Mapping[str, object]) -> inspect.BoundArguments:
        """Arrange parsed flag values as the function's own arguments."""
        bound = inspect.BoundArguments(self.signature, OrderedDict())
        for name, shape in self._shapes.items():
            value = values[name]
            if shape.container is not None and isinstance(value, tuple):
                value = shape.container(value)
            bound.arguments[name] = value
        return bound


def flags_of(function: types.FunctionType, name: str) -> Flags:
    """Read the flags of `function`, called `name` in messages. Raises `CliError` for a hint that has no flag."""
    signature = inspect.signature(function)
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError) as error:
        raise CliError(f"A type hint of {name!r} cannot be read: {error}.") from error
    parameters: list[click.Parameter] = []
    shapes = {}
    for parameter in signature.parameters.values():
        hint = hints.get(parameter.name, _guess(parameter))
        try:
            shape = _shape(hint)
        except _UnsupportedError:
            raise CliError(
                f"Parameter {parameter.name!r} of {name!r} has the type {_spell(hint)}, which has no form as a flag. "
                f"Flags can be: {_TAKEN}."
            ) from None
        if parameter.kind is parameter.VAR_KEYWORD:
            raise CliError(f"{name!r} takes **{parameter.name}, which has no form as flags.")
        if parameter.kind is parameter.VAR_POSITIONAL:
            shape = _Shape(shape.flag_type, tuple)
            parameters.append(
                click.Argument([parameter.name], nargs=-1, type=shape.flag_type, expose_value=True)
            )
        else:
            parameters.append(_option(parameter, shape))
        shapes[parameter.name] = shape
    return Flags(signature, parameters, shapes)


def _option(parameter: inspect.Parameter, shape: _Shape) -> click.Option:
    flag = parameter.name.strip("_").replace("_", "-")
    has_default = parameter.default is not parameter.empty
    is_flag = shape.flag_type is click.BOOL and shape.container is None
    option = click.Option(
        [parameter.name, f"--{flag}/--no-{flag}" if is_flag else f"--{flag}"],
        type=shape.flag_type,
        required=not has_default and not shape.is_optional,
        show_default=has_default and parameter.default not in (None, [], ()),
        multiple=shape.container is not None,
        help="Can be repeated." if shape.container is not None else None,
    )
    if has_default:
        # Not in the constructor: to click a default of None there is a value, and nothing is missing then.
        option.default = parameter.default
    return option


def _guess(parameter: inspect.Parameter) -> object:
    if parameter.default is parameter.empty or parameter.default is None:
        return str
    return type(parameter.default)


def _shape(hint: object) -> _Shape:
    if hint in _SIMPLE:
        return _Shape(_SIMPLE[hint])
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _Shape(click.Choice(hint))
    origin, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in _GENERIC:
        return _GENERIC[origin](inner)
    raise _UnsupportedError


def _literal(members: tuple[object, ...]) -> _Shape:
    return _Shape(click.Choice(members))


def _list(items: tuple[object, ...]) -> _Shape:
    return _Shape(_scalar(items[0] if items else str), list)


def _tuple(items: tuple[object, ...]) -> _Shape:
    if len(items) != 2 or items[1] is not Ellipsis:
        raise _UnsupportedError
    return _Shape(_scalar(items[0]), tuple)


def _annotated(inner: tuple[object, ...]) -> _Shape:
    return _shape(inner[0])


def _optional(members: tuple[object, ...]) -> _Shape:
    others = [member for member in members if member is not type(None)]
    if len(others) != 1:
        raise _UnsupportedError
    shape = _shape(others[0])
    return _Shape(shape.flag_type, shape.container, is_optional=len(others) < len(members))


_GENERIC: dict[object, Callable[[tuple[object, ...]], _Shape]] = {
    typing.Literal: _literal,
    typing.Union: _optional,
    types.UnionType: _optional,
    list: _list,
    tuple: _tuple,
    typing.Annotated: _annotated,
}


def _scalar(hint: object) -> _Type:
    shape = _shape(hint)
    if shape.container is not None or shape.is_optional:
        raise _UnsupportedError
    return shape.flag_type


def _spell(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
