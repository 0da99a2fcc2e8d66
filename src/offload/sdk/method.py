"""Functions whose inputs name the method that they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offload.errors import InvalidError
from offload.sdk import call_options, serialize
from offload.sdk.function import Function
from offload.sdk.options import split_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from offload.sdk.call_options import CallOptions
    from offload.sdk.map_call import Arguments


class OfMethod(Function[..., Any, Any]):  # type: ignore[explicit-any]  # see `class_marks.MethodOf` for its types
    """A function whose inputs name the method of an instance that they are for."""

    method: str

    def _changed_calls(
        self, options: Mapping[str, object], class_name: str, right: str
    ) -> CallOptions:
        """Return the options of its calls with these; `right` is how to change others. Raises `InvalidError`."""
        of_function, of_calls = split_arguments(options)
        if of_function:
            raise InvalidError(
                f"{next(iter(of_function))} is the same for all methods of {class_name}: write {right}.with_options(…)"
            )
        return call_options.changed(self.call_options, of_calls)

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
