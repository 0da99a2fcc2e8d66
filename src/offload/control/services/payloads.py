"""The encoded payloads of unfinished inputs, in memory up to a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from offload.control.services.reading import Reading

MEMORY_BYTES = 64 * 1024 * 1024


class Payloads:
    """Every open input is in here: with its bytes, or with None while they are on disk alone."""

    def __init__(self, reading: Reading, memory_bytes: int = MEMORY_BYTES) -> None:
        self._reading = reading
        self._memory_bytes = memory_bytes
        self._by_input: dict[str, bytes | None] = {}
        self._size_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether what is on disk should leave the memory."""
        return self._size_bytes > self._memory_bytes

    def is_open(self, input_id: str) -> bool:
        """Whether the input has no outcome yet."""
        return input_id in self._by_input

    def keep(self, input_id: str, payload: bytes | None) -> None:
        """Add an open input; None says that its payload is on disk."""
        self._by_input[input_id] = payload
        if payload is not None:
            self._size_bytes += len(payload)

    def get(self, input_id: str) -> bytes | None:
        """Return the payload if it is in memory."""
        return self._by_input.get(input_id)

    def discard(self, input_id: str) -> None:
        """Let go of an input that ended."""
        payload = self._by_input.pop(input_id, None)
        if payload is not None:
            self._size_bytes -= len(payload)

    def leave_to_store(self, input_ids: Iterable[str]) -> None:
        """Drop from memory what is on disk by now."""
        for input_id in input_ids:
            payload = self._by_input.get(input_id)
            if payload is not None:
                self._size_bytes -= len(payload)
                self._by_input[input_id] = None

    async def load(self, input_ids: Sequence[str]) -> dict[str, bytes]:
        """Read payloads from the store; those of inputs that ended meanwhile are left out."""
        stored = await self._reading.get(self._reading.store.payloads, input_ids)
        return {input_id: row for input_id, row in stored.items() if input_id in self._by_input}
