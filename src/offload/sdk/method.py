"""Functions whose inputs name the method that they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offload.sdk import serialize
from offload.sdk.function import Function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from offload.sdk.map_call import Arguments


class OfMethod(Function[..., Any, Any]):  # type: ignore[explicit-any]  # see `class_marks.MethodOf` for its types
    """A function whose inputs name the method of an instance that they are for."""

    method: str

    def _dump(self, args: tuple[object, ...], kwargs: dict[str, object]) -> bytes:
        return serialize.dumps((args, kwargs, self.method))

    def _inputs(  # type: ignore[explicit-any]  # whatever `make` takes
        self, make: Callable[..., Iterator[Arguments]], *sources: object
    ) -> Callable[..., Iterator[Arguments]]:
        method = self.method

        def named(*more: object) -> Iterator[Arguments]:
            for args, kwargs in make(*sources, *more):
                yield (args, kwargs, method)  # type: ignore[misc]  # as the runner knows an input of a method

        return named
