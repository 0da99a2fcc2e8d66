"""How objects become the bodies of payloads, and come back; the same code at the caller and in the container.

Plain pickle is several times faster than cloudpickle and comes first. It is right wherever the other side can import
what the pickle names. It cannot import the caller's `__main__` or a module registered to travel by value; a pickle
that names one of these is made again by cloudpickle, which sends such classes and functions whole. cloudpickle also
remembers which class it sent, so that a result made of it comes back as the caller's own class.

Valid on CPython 3.9; cloudpickle is imported where it is needed, because its import takes longer than a warm call.
"""

from __future__ import annotations

import _pickle as pickle  # of which `pickle` is a wrapper that imports `re`
import sys

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from _typeshed import SupportsWrite

ENCODING = "pickle"
CODE_ENCODING = "cloudpickle"  # a function travels by value

_PROTOCOL = 5
_PLAIN_FAILURES = (pickle.PicklingError, AttributeError, TypeError, ImportError, RecursionError)
_SEARCH_DEPTH = 4


class SerializationError(TypeError):
    """An object cannot be pickled; the message names the part of it that is to blame."""


def dumps(obj: object, what: str = "the object") -> bytes:
    """Return the object's pickle; `what` names it in the SerializationError."""
    try:
        data = pickle.dumps(obj, _PROTOCOL)
    except _PLAIN_FAILURES:
        data = b""
    if data and not _names_by_value(data):
        return data
    import cloudpickle  # noqa: PLC0415 - see the module's docstring

    try:
        return bytes(cloudpickle.dumps(obj, _PROTOCOL))
    except Exception as error:
        raise _explain(obj, what, error) from error


def dump_to(obj: object, file: SupportsWrite[bytes], what: str = "the object") -> None:
    """Write the object's pickle to a file without a second copy of its large parts in memory."""
    import cloudpickle  # noqa: PLC0415 - see the module's docstring

    try:
        cloudpickle.dump(obj, file, _PROTOCOL)
    except OSError:
        raise  # the file's failure, not the object's
    except Exception as error:
        raise _explain(obj, what, error) from error


def dump_plainly_to(obj: object, file: SupportsWrite[bytes]) -> bool:
    """Write the object's plain pickle to a file where that works; False leaves the file's content undefined.

    Right only where `__main__` is not the user's: the caller's side uses `dump_to`.
    """
    try:
        pickle.Pickler(file, _PROTOCOL).dump(obj)
    except _PLAIN_FAILURES:
        return False
    return True


def loads(data: bytes) -> object:
    """Return the pickled object. Never for bytes of another user: unpickling runs what they say."""
    return pickle.loads(data)  # by design; the platform's own processes never call this


def load_from(file: IO[bytes]) -> object:
    """Return the pickled object in a file, reading its large parts straight into place."""
    return pickle.load(file)  # see `loads`


# --- naming what cannot be pickled ---


def explain_unpicklable(function: object) -> str | None:
    """Say which variable of a function keeps it from travelling by value; None where nothing does."""
    import cloudpickle  # noqa: PLC0415 - see the module's docstring

    try:
        cloudpickle.dumps(function, _PROTOCOL)
    except Exception as error:  # noqa: BLE001 - __reduce__ of users' objects may raise anything
        found = _search(function, _SEARCH_DEPTH)
        return f"{found or _describe(function)} cannot be pickled ({_reason(error)})"
    return None


def _explain(obj: object, what: str, error: Exception) -> SerializationError:
    found = _search(obj, _SEARCH_DEPTH)
    blame = f": the cause is {found}" if found else ""
    return SerializationError(f"{what} cannot be pickled{blame} ({_reason(error)})")


def _search(obj: object, depth: int) -> str | None:
    """Name the smallest reachable part that does not pickle, the path to it first."""
    if depth == 0:
        return None
    for name, part in _parts(obj):
        if not _pickles(part):
            inner = _search(part, depth - 1)
            path = f"{name} of {_describe(obj)}"
            return f"{inner}, in {path}" if inner else f"{path}, a {_type_name(part)}"
    return None


def _parts(obj: object) -> Iterator[tuple[str, object]]:
    code = getattr(obj, "__code__", None)
    if code is not None:
        yield from _variables(obj)
    elif isinstance(obj, dict):
        for key, value in obj.items():
            yield f"key {key!r:.60}", key
            yield f"value of {key!r:.60}", value
    elif isinstance(obj, (list, tuple, set, frozenset)):
        for index, value in enumerate(obj):
            yield f"item {index}", value
    else:
        for name, value in getattr(obj, "__dict__", {}).items():
            if not (isinstance(obj, type) and name.startswith("__")):
                yield f"attribute {name!r}", value


def _variables(function: object) -> Iterator[tuple[str, object]]:
    import inspect  # noqa: PLC0415 - slow to import, needed only to explain a failure

    if not inspect.isfunction(function):
        return
    cells = zip(function.__code__.co_freevars, function.__closure__ or ())
    for name, cell in cells:
        try:
            yield f"closure variable {name!r}", cell.cell_contents
        except ValueError:  # noqa: PERF203 - an empty cell: the variable is not assigned yet
            continue
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f"global variable {name!r}", function.__globals__[name]
    for index, value in enumerate(function.__defaults__ or ()):
        yield f"default argument {index}", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"default of {name!r}", value


def _global_names(code: object) -> Iterator[str]:
    yield from getattr(code, "co_names", ())
    for constant in getattr(code, "co_consts", ()):
        if hasattr(constant, "co_names"):
            yield from _global_names(constant)


def _pickles(obj: object) -> bool:
    import cloudpickle  # noqa: PLC0415 - see the module's docstring

    try:
        cloudpickle.dumps(obj, _PROTOCOL)
    except Exception:  # noqa: BLE001 - __reduce__ of users' objects may raise anything
        return False
    return True


def _type_name(obj: object) -> str:
    kind = type(obj)
    return (
        kind.__qualname__
        if kind.__module__ in ("builtins", "__main__")
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _describe(obj: object) -> str:
    name = getattr(obj, "__qualname__", None)
    return f"{name}()" if name and hasattr(obj, "__code__") else f"<{_type_name(obj)}>"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error!s:.300}"


def _names_by_value(data: bytes) -> bool:
    if b"__main__" in data:
        return True
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:  # then nobody has registered a module
        return False
    return any(name.encode() in data for name in cloudpickle.list_registry_pickle_by_value())
