"""The function of a script that runs on the caller's machine when `offload run` starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R", covariant=True)  # noqa: PLC0105  # what it returns


class LocalEntrypoint(Generic[P, R]):
    """Calling it calls the function, here. `offload run` makes command line flags of its parameters."""

    def __init__(self, function: Callable[P, R], name: str) -> None:
        self.function = function
        self.name = name
        self.__doc__ = function.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)
