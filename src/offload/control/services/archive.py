"""What the store knows of calls and functions, and what to say of those it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.ids import KEYED_PREFIX, call_created_at
from offload.control.core.model import ON_DEMAND_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.model import Function
    from offload.control.ports.clock import Clock
    from offload.control.ports.records import OutcomeRow, StoredCall
    from offload.control.services.kernel import Kernel
    from offload.control.services.reading import Reading

DAY_SECONDS = 86_400.0


class Archive:
    """Reads calls and functions; a call whose retention is over is said to have expired."""

    def __init__(
        self, kernel: Kernel, reading: Reading, clock: Clock, retention_seconds: float
    ) -> None:
        self._kernel = kernel
        self._reading = reading
        self._clock = clock
        self._retention_seconds = retention_seconds

    async def call(self, call_id: str) -> StoredCall | None:
        """Read a call."""
        return await self._reading.get(self._reading.store.call, call_id)

    async def require_call(self, call_id: str) -> StoredCall:
        """Read a call; raise `DomainError` that says whether it has expired or never was."""
        call = await self.call(call_id)
        if call is None:
            raise self._missing(call_id)
        return call

    async def outcome(self, input_id: str) -> OutcomeRow | None:
        """Read an input's outcome if it is on disk."""
        return await self._reading.get(self._reading.store.outcome, input_id)

    async def unused_functions(self, keep: int, limit: int) -> list[str]:
        """See `Store`."""
        return await self._reading.get(self._reading.store.unused_functions, keep, limit)

    async def states(self, call_ids: Sequence[str]) -> dict[str, str]:
        """Read the final states of calls, empty for open ones; unknown ones are missing."""
        return await self._reading.get(self._reading.store.states, call_ids)

    async def require_function(self, function_id: str, call_id: str = "") -> Function:
        """Return a function that was ever registered, or raise `DomainError`."""
        function = self._kernel.dispatcher.function(function_id)
        if function is None:
            function = await self._reading.get(self._reading.store.function, function_id)
        if function is None and function_id.startswith(ON_DEMAND_PREFIX):
            raise DomainError(
                ErrorCode.SUPERSEDED,
                f"Function {function_id!r} has been idle for so long that it is forgotten: look its class up again.",
            )
        if function is None:
            of_call = f" for call {call_id}" if call_id else ""
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no function {function_id!r}{of_call}: register it first.",
            )
        return function

    def _missing(self, call_id: str) -> DomainError:
        days = self._retention_seconds / DAY_SECONDS
        kept = f"{days:.3g} days" if days >= 0.1 else f"{self._retention_seconds:.3g} s"
        if call_id.startswith(KEYED_PREFIX):
            return DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no call {call_id}: it was never submitted, or ended more than {kept} ago and has expired.",
            )
        created_at = call_created_at(call_id)
        now = self._clock.now()
        if created_at is not None and created_at + self._retention_seconds <= now:
            return DomainError(
                ErrorCode.EXPIRED,
                f"Call {call_id} has expired: what a call came to is kept for {kept} after its end.",
            )
        return DomainError(
            ErrorCode.NOT_FOUND, f"There is no call {call_id!r}: `offload calls ls` lists them."
        )
