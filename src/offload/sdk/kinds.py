"""Functions that return and functions that yield."""

from __future__ import annotations

from types import FunctionType

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
