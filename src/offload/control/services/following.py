"""What becomes of calls, shown as it comes: outcomes, and what generators yield."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.ids import input_id as make_input_id
from offload.control.services.feeds import Follower, Topic

if TYPE_CHECKING:
    from offload.control.ports.records import ItemRow, OutcomeRow
    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.reading import Reading


class Following:
    """Opens streams that begin in the store and go on live."""

    def __init__(self, kernel: Kernel, reading: Reading, archive: Archive) -> None:
        self._kernel = kernel
        self._reading = reading
        self._archive = archive

    async def outcomes(self, call_id: str, after_seq: int) -> Follower[OutcomeRow]:
        """Follow a call's outcomes to its end."""
        topic = await self._topic(call_id)

        async def read(after: int, limit: int) -> list[OutcomeRow]:
            return await self._reading.get(self._reading.store.outcomes, call_id, after, limit)

        return Follower(topic, read, after_seq)

    async def items(
        self, call_id: str, index: int, after_item: int
    ) -> tuple[Follower[ItemRow], str]:
        """Follow what a generator input yields to its end; also return the input's id."""
        await self._topic(call_id)
        input_id = make_input_id(call_id, index)
        topic: Topic[ItemRow] | None = None
        if self._kernel.dispatcher.is_open(input_id):
            topic = self._kernel.items.setdefault(input_id, Topic())
        else:
            # Decided, but its last items may still be on their way to the disk.
            await self._kernel.journal.flush()
            if await self._archive.outcome(input_id) is None:
                raise DomainError(
                    ErrorCode.NOT_FOUND, f"Call {call_id} has no input {index}: submit it first."
                )

        async def read(after: int, limit: int) -> list[ItemRow]:
            return await self._reading.get(self._reading.store.items, input_id, after, limit)

        return Follower(topic, read, after_item), input_id

    async def outcome(self, input_id: str) -> OutcomeRow | None:
        """Return an input's outcome if it is on disk."""
        return await self._archive.outcome(input_id)

    async def _topic(self, call_id: str) -> Topic[OutcomeRow] | None:
        live = self._kernel.calls.get(call_id)
        if live is not None:
            return live.outcomes
        await self._archive.require_call(call_id)
        return None
