"""Functions that travel by value, without importing cloudpickle where a few lines do.

Their pickles name functions of cloudpickle, whose import (`inspect`, `logging`, `typing` and more) takes longer than the
rest of a container's start. Six of those names are all that functions, cells and modules need, and stand here. Whatever
else a pickle names is cloudpickle's own: classes, enums, types of the user's script. Where a name is used in another way
than known here, by a cloudpickle that is not the one our lock file names, the pickle is loaded again by cloudpickle alone.
"""

from __future__ import annotations

import _pickle
import builtins
import sys
import types

from offload.sdk import serialize

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import IO

_FUNCTION_PARTS = frozenset(
    (
        "__annotations__",
        "__closure__",
        "__defaults__",
        "__doc__",
        "__globals__",
        "__kwdefaults__",
        "__module__",
        "__name__",
        "__qualname__",
        "_cloudpickle_submodules",
    )
)


class _UnknownUseError(Exception):
    """The pickle uses one of cloudpickle's names in another way than ours."""


def load_code(file: IO[bytes]) -> object:
    """Return the object whose pickle by cloudpickle is in the file; whatever user code raises passes through."""
    try:
        return _Unpickler(file).load()
    except _UnknownUseError:
        file.seek(0)
        return serialize.load_from(file)


class _Unpickler(_pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> object:
        ours = _OURS.get(name) if module == "cloudpickle.cloudpickle" else None
        return super().find_class(module, name) if ours is None else ours


def _make_function(*parts: object) -> types.FunctionType:
    if len(parts) != 5 or not isinstance(parts[1], dict):
        raise _UnknownUseError
    parts[1]["__builtins__"] = builtins.__dict__
    return types.FunctionType(*parts)  # type: ignore[arg-type]  # or TypeError


def _set_function_state(function: types.FunctionType, state: object) -> None:
    if not isinstance(state, tuple) or state[1].keys() != _FUNCTION_PARTS:
        raise _UnknownUseError
    attributes, parts = state
    function.__dict__.update(attributes)
    # The function's own globals and cells are there already, others refer to them; only now they can be filled.
    function.__globals__.update(parts["__globals__"])
    for own, filled in zip(function.__closure__ or (), parts["__closure__"] or ()):
        try:
            own.cell_contents = filled.cell_contents
        except ValueError:  # noqa: PERF203 - a variable that is not assigned yet
            continue
    # What is left of them has come to be by being named: imported submodules.
    for name in parts.keys() - {"__globals__", "__closure__", "_cloudpickle_submodules"}:
        setattr(function, name, parts[name])


def _import_module(name: str) -> types.ModuleType:
    __import__(name)
    return sys.modules[name]


def _type_of_types(name: str) -> object:
    return getattr(types, name)


_OURS: dict[str, object] = {
    "_make_function": _make_function,
    "_function_setstate": _set_function_state,
    "_make_empty_cell": types.CellType,
    "_make_cell": types.CellType,
    "_builtin_type": _type_of_types,
    "subimport": _import_module,
}
