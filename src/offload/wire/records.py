"""`NamedTuple` as `typing` makes it, without importing `typing`.

A container imports all of this before it can run anything. `typing` brings `re` and `enum` and takes longer there than
the whole runner, so modules that a container imports take the name from here, and type checkers take it from `typing`:

    if TYPE_CHECKING:
        from typing import NamedTuple
    else:
        from offload.wire.records import NamedTuple

Valid on CPython 3.9; `tests/unit/runner/test_start.py` holds what the runner may import.
"""

from __future__ import annotations

from collections import namedtuple

_NOT_COPIED = ("__annotations__", "__module__", "__qualname__")


class _Maker(type):
    """Turns the body of a class into a named tuple."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, object]) -> type:
        if not bases:
            return super().__new__(cls, name, bases, body)
        annotations = body.get("__annotations__", {})
        assert isinstance(annotations, dict)  # noqa: S101 - by the language
        fields = tuple(annotations)
        defaults = [body[field] for field in fields if field in body]
        made = namedtuple(name, fields, defaults=defaults)  # type: ignore[misc]  # noqa: PYI024 - the point of this module
        made.__module__ = str(body["__module__"])  # by which it is pickled
        for key, value in body.items():
            if key not in fields and key not in _NOT_COPIED:
                setattr(made, key, value)
        return made


class NamedTuple(metaclass=_Maker):
    """See `typing.NamedTuple`."""
