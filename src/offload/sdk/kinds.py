"""What can be a function of an app, and whether it returns or yields."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING

from offload.errors import InvalidError

if TYPE_CHECKING:
    from offload.sdk.options import FunctionOptions

_GENERATOR_CODE = 0x20 | 0x200  # inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def wrong_kind(name: str, method: str, *, is_generator: bool) -> str:
    """Say which method calls a function of this kind."""
    if is_generator:
        return (
            f"{name}() is a generator: write {name}.remote_gen(…) to get its items, not .{method}()"
        )
    return f"{name}() is not a generator: write {name}.remote(…), not .{method}()"


def is_generator(function: object) -> bool:
    """Whether calling it gives items one by one."""
    if isinstance(function, FunctionType):
        return bool(function.__code__.co_flags & _GENERATOR_CODE)
    import inspect  # sees through partials and methods, and is slow to import

    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def check_function(function: object, options: FunctionOptions) -> None:
    """Refuse what cannot be a function of an app, or not with these options."""
    name = options.name
    if hasattr(function, "raw_function"):
        raise InvalidError(
            f"{getattr(function, 'name', 'it')} is decorated already: one @app.function() is enough"
        )
    if not callable(function):
        raise InvalidError(f"@app.function() decorates functions, not {type(function).__name__}")
    if isinstance(function, type):
        raise InvalidError(
            f"@app.function() decorates functions, and {function.__name__} is a class"
        )
    given = getattr(function, "__name__", None)
    if name is None and (given is None or given == "<lambda>"):
        raise InvalidError(
            'a lambda has no name: write app.function(name="double")(lambda x: 2 * x), or use def'
        )
    from offload.sdk.source import check_closure

    check_closure(function, f"{name or given}()")
    if options.schedule is not None:
        from offload.sdk.schedule import check_callable_without_arguments

        check_callable_without_arguments(function, f"{name or given}")


def is_web_endpoint(function: object) -> bool:
    """Whether what was decorated answers web requests, and is not called."""
    if "offload.sdk.web_marks" not in sys.modules:
        return False  # then there are no such decorators
    from offload.sdk.web_marks import endpoint_of

    return endpoint_of(getattr(function, "__wrapped__", None)) is not None


def with_marks(function: object, options: FunctionOptions) -> FunctionOptions:
    """Return the options with what decorators below `@app.function()` have left on the function."""
    # Where these are not imported there are no such decorators.
    if "offload.sdk.concurrency" in sys.modules:
        from offload.sdk.concurrency import marks_of

        options = marks_of(function).added_to(options)
    if "offload.sdk.web" in sys.modules:
        from offload.sdk.web import web_of_function

        web = web_of_function(function)
        options = options if web is None else web.added_to(options)
    return options
