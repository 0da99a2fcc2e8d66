"""What services ask of the definitions that functions carry as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.control.core.classes import Changes, ClassShape, Value
    from offload.control.core.model import Function


class Definitions(Protocol):
    """Reads definitions and makes them of one another. Pure: the same arguments give the same."""

    def shape(self, function: Function) -> ClassShape | None:
        """Return the class whose containers the function stands for; None where it is no class's."""
        ...

    def with_parameters(
        self, base: Function, name: str, values: Mapping[str, Value], changes: Changes
    ) -> Function:
        """Return what stands for containers of the same class with other values and options, under an id of its own.

        It keeps none warm, and its id says that it is made on demand. Raises `DomainError` for options that cannot be changed.
        """
        ...
