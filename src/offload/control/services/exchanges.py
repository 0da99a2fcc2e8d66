"""Requests that are being answered, for the containers that answer them to find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from offload.control.core.errors import DomainError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.core.dispatch import Dispatcher


class Party(Protocol):
    """The client's side of one request."""

    @property
    def function_id(self) -> str:
        """Whose input it is."""
        ...

    async def take(self, part: bytes) -> None:
        """Take a part from the container; return once there is room for another. Raises `DomainError` for a wrong one."""
        ...

    def parts(self) -> AsyncIterator[bytes]:
        """Iterate over the parts for the container, as they come."""
        ...

    def end(self, *, is_broken: bool) -> None:
        """No more parts come from the container; `is_broken`: although it did not say so."""
        ...


class Exchanges:
    """The requests that have been handed out, by the id of their input."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._parties: dict[str, Party] = {}

    def add(self, input_id: str, party: Party) -> None:
        """Let the container of this input find it."""
        self._parties[input_id] = party

    def remove(self, input_id: str) -> None:
        """Forget a request that is over. Idempotent."""
        self._parties.pop(input_id, None)

    def require(self, input_id: str, function_id: str, container_id: str) -> Party:
        """Return the request that this container answers; to any other container there is none.

        Ids of inputs cannot be guessed. So a container that names one has it, or had it: its result may overtake its parts.
        """
        party = self._parties.get(input_id)
        holder = self._dispatcher.container_of(input_id)
        if party is None or party.function_id != function_id or holder not in ("", container_id):
            raise DomainError(
                ErrorCode.NOT_FOUND, f"There is no request {input_id[:60]!r} for this container."
            )
        return party
