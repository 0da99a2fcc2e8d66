"""From texts and JSON values to what type hints ask for."""

from __future__ import annotations

import datetime
import decimal
import enum
import pathlib
import typing
import uuid
from collections.abc import Iterable, Mapping, Sequence

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Callable

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_FROM_TEXT: dict[object, Callable[[str], object]] = {
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    uuid.UUID: uuid.UUID,
    decimal.Decimal: decimal.Decimal,
    pathlib.Path: pathlib.Path,
}
_LISTS: dict[object, Callable[[list[object]], object]] = {
    list: list,
    Sequence: list,
    Iterable: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}
_NAMES = {
    str: "a text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    bytes: "a text",
}


class MismatchError(ValueError):
    """A value is not what a type hint asks for; `where` says which part of it."""

    def __init__(self, message: str, where: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.where = where


def convert(value: object, hint: object) -> object:
    """Return the value as the hint wants it; a text may stand for a number. Raises `MismatchError`."""
    if hint in (typing.Any, object, None) or isinstance(hint, typing.TypeVar):
        return value
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is typing.Annotated if hasattr(typing, "Annotated") else False:
        return convert(value, arguments[0])
    if is_union(hint):
        return _one_of(value, arguments)
    if origin is typing.Literal:
        return _literal(value, arguments)
    return _of_class(value, origin or hint, arguments)


def is_union(hint: object) -> bool:
    """Whether the hint has several types to choose from."""
    origin = typing.get_origin(hint)
    return (
        origin is typing.Union or type(hint).__name__ == "UnionType"
    )  # its type came with Python 3.10


def is_list(hint: object) -> bool:
    """Whether the hint asks for several values."""
    arms = typing.get_args(hint) if is_union(hint) else (hint,)
    return any((typing.get_origin(arm) or arm) in _LISTS for arm in arms)


def is_structure(hint: object) -> bool:
    """Whether the hint asks for what a whole body is: a model, a dataclass, a dict."""
    arms = typing.get_args(hint) if is_union(hint) else (hint,)
    return any(_is_structure(typing.get_origin(arm) or arm) for arm in arms)


def _is_structure(kind: object) -> bool:
    if hasattr(kind, "model_validate") or hasattr(kind, "__dataclass_fields__"):
        return True
    return isinstance(kind, type) and issubclass(kind, (dict, Mapping))


def _one_of(value: object, arms: tuple[object, ...]) -> object:
    if value is None and type(None) in arms:
        return None
    # A text is anything's text: what else it may be comes first.
    wanted = sorted((arm for arm in arms if arm is not type(None)), key=lambda arm: arm is str)
    failures = []
    for arm in wanted:
        try:
            return convert(value, arm)
        except MismatchError as error:  # noqa: PERF203 - the next may fit
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    raise MismatchError(" or ".join(str(error) for error in failures) or "it must be null")


def _literal(value: object, allowed: tuple[object, ...]) -> object:
    for each in allowed:
        if value == each or (isinstance(value, str) and value == str(each)):
            return each
    raise MismatchError(f"it must be one of {', '.join(map(repr, allowed))}")


def _of_class(value: object, kind: object, arguments: tuple[object, ...]) -> object:
    if kind in _NAMES:
        return _scalar(value, kind)
    if kind in _LISTS:
        return _list(value, kind, arguments)
    if hasattr(kind, "model_validate"):
        return _model(value, kind)
    if hasattr(kind, "__dataclass_fields__"):
        return _dataclass(value, kind)
    return _other(value, kind, arguments) if isinstance(kind, type) else value


def _other(value: object, kind: type, arguments: tuple[object, ...]) -> object:
    if issubclass(kind, (dict, Mapping)):
        return _mapping(value, kind, arguments)
    if issubclass(kind, enum.Enum):
        return _literal_of_enum(value, kind)
    try:
        made = _FROM_TEXT[kind](value) if kind in _FROM_TEXT and isinstance(value, str) else value
    except (ValueError, ArithmeticError) as error:
        raise MismatchError(f"it is no {kind.__name__}") from error
    if isinstance(made, kind):
        return made
    raise MismatchError(f"it is no {kind.__name__}")


def _scalar(value: object, kind: object) -> object:
    if type(value) is kind:
        return value
    text = value.strip() if isinstance(value, str) else None
    try:
        if kind is bytes and isinstance(value, str):
            return value.encode()
        if kind is bool and text is not None:
            return _truth(text)
        if kind is float and type(value) in (int, float):
            return float(value)  # type: ignore[arg-type]  # one of these
        if kind in (int, float) and text is not None:
            return kind(text)
    except ValueError:
        pass
    raise MismatchError(f"it must be {_NAMES[kind]}")  # type: ignore[index]  # one of them


def _truth(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


def _list(value: object, kind: object, arguments: tuple[object, ...]) -> object:
    if not isinstance(value, (list, tuple)):
        raise MismatchError("it must be a list")
    if kind is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(arguments) != len(value):
            raise MismatchError(f"it must have {len(arguments)} elements")
        hints: Sequence[object] = arguments
    else:
        hints = [arguments[0] if arguments else None] * len(value)
    made = [_part(each, hint, at) for at, (each, hint) in enumerate(zip(value, hints))]
    return _LISTS[kind](made)


def _part(value: object, hint: object, where: object) -> object:
    try:
        return convert(value, hint)
    except MismatchError as error:
        raise MismatchError(str(error), (where, *error.where)) from None


def _mapping(value: object, kind: type, arguments: tuple[object, ...]) -> object:
    if not isinstance(value, dict):
        raise MismatchError("it must be an object")
    if hasattr(kind, "__required_keys__"):  # a TypedDict
        hints = typing.get_type_hints(kind)
        for name in sorted(kind.__required_keys__):
            if name not in value:
                raise MismatchError("it is missing", (name,))
        return {name: _part(each, hints.get(name), name) for name, each in value.items()}
    of_values = arguments[1] if len(arguments) == 2 else None
    return {name: _part(each, of_values, name) for name, each in value.items()}


def _dataclass(value: object, kind: object) -> object:
    import dataclasses  # noqa: PLC0415 - here is one

    if not isinstance(value, dict):
        raise MismatchError("it must be an object")
    hints = typing.get_type_hints(kind)
    given = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # it is one
        if not field.init:
            continue
        if field.name in value:
            given[field.name] = _part(value[field.name], hints.get(field.name), field.name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise MismatchError("it is missing", (field.name,))
    unknown = value.keys() - given.keys()
    if unknown:
        raise MismatchError("it is unknown", (min(unknown),))
    try:
        return kind(**given)  # type: ignore[operator]  # it is one
    except (TypeError, ValueError) as error:  # its own checks
        raise MismatchError(str(error)) from error


def _model(value: object, kind: object) -> object:
    try:
        return kind.model_validate(value)  # type: ignore[attr-defined]  # it has been asked
    except ValueError as error:
        errors = getattr(error, "errors", None)
        first = errors()[0] if errors is not None else {"msg": str(error), "loc": ()}
        raise MismatchError(str(first["msg"]), tuple(first["loc"])) from error


def _literal_of_enum(value: object, kind: type[enum.Enum]) -> object:
    for member in kind:
        if value == member.value or (isinstance(value, str) and value == str(member.value)):
            return member
    raise MismatchError(f"it must be one of {', '.join(repr(member.value) for member in kind)}")
