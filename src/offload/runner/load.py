"""Becoming the user's function: its environment, its modules, its code."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from types import ModuleType

from offload.runner.by_value import load_code
from offload.runner.callee import of_function
from offload.wire.guest import DATA, FLAG, NUMBER

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Union

    from offload.runner.bodies import Incoming
    from offload.runner.callee import Callees
    from offload.runner.life import Life, Site
    from offload.sdk.life_cycle import Blueprint
    from offload.wire.guest import Load

    Loaded = Union[Callees, Life, Site]


_GUEST_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))  # noqa: PTH100, PTH118, PTH120 - pathlib is slow to import


def load_function(order: Load, code: Incoming) -> Loaded:
    """Set the process up as the caller's and return what inputs call; whatever user code raises passes through."""
    os.environ.update(order.env)  # noqa: TID251 - this is where the user's environment comes to be
    if "TZ" in dict(order.env):
        time.tzset()
    # The caller may stand in a folder that no container sees; the runtime has then chosen where this one stands.
    with contextlib.suppress(OSError):
        os.chdir(order.working_dir)
    import site  # noqa: PLC0415 - not before the worker's word: it runs code of the environment

    site.main()
    # The caller's own order of modules; then what is no folder but the mark of an import hook that has just been
    # installed; ours come last, so that they never hide one of the user's.
    marks = [entry for entry in sys.path if not os.path.isabs(entry)]  # noqa: PTH117 - pathlib is slow to import
    # Where it is an image that knows its folders, an empty entry stands for them.
    own = [entry for entry in sys.path if os.path.isabs(entry) and os.path.exists(entry)]  # noqa: PTH110, PTH117 - as above
    wanted = [path for entry in order.sys_path for path in ([entry] if entry else own)]
    theirs = [path for path in wanted if path != _GUEST_ROOT]
    sys.path[:] = [*theirs, *marks, _GUEST_ROOT]
    sys.argv = [""]
    # Processes that user code starts would otherwise import our start-up script as their main module.
    sys.modules["__main__"] = ModuleType("__main__")
    with code.open() as file:
        function = load_code(file)
    life_cycle = sys.modules.get("offload.sdk.life_cycle")
    if life_cycle is not None and isinstance(function, life_cycle.Blueprint):
        from offload.runner.life import Life  # noqa: PLC0415 - most code is a function

        return Life(_with_parameters(function, order.parameters))
    if not callable(function):
        raise TypeError(f"{order.function_name} is not a function but a {type(function).__name__}")
    web_marks = sys.modules.get(
        "offload.sdk.web_marks"
    )  # where it is marked, the mark has brought it
    endpoint = web_marks.endpoint_of(function) if web_marks is not None else None
    if endpoint is not None:
        from offload.runner.life import Site  # noqa: PLC0415 - most code is a function

        return Site(function, endpoint, order.function_name)
    return of_function(function, order.function_name, is_generator=order.is_generator)


def _with_parameters(blueprint: Blueprint, given: tuple[tuple[str, str, str], ...]) -> Blueprint:
    if not given:
        return blueprint
    values = dict(blueprint.parameters)
    for name, kind, text in given:
        values[name] = _read(kind, text)
    return blueprint._replace(parameters=values)


def _read(kind: str, text: str) -> object:
    if kind == NUMBER:
        return int(text)
    if kind == FLAG:
        return bool(text)
    return bytes.fromhex(text) if kind == DATA else text
