"""The encoded payloads of unfinished inputs, in memory up to a bound; beyond it they are on disk alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from offload.control.services.reading import Reading

MEMORY_BYTES = 64 * 1024 * 1024
# What an entry takes beside its bytes: two objects and a place in a dict.
ENTRY_BYTES = 200
# What a call takes that has an entry: its id, a dict and a place in another.
CALL_BYTES = 400


class Payloads:
    """Payloads by input. Kept by call, so that a call's end costs what is in memory of it, not what it has inputs."""

    def __init__(self, reading: Reading, memory_bytes: int = MEMORY_BYTES) -> None:
        self._reading = reading
        self._memory_bytes = memory_bytes
        self._by_call: dict[str, dict[str, bytes]] = {}
        self._size_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether what is on disk should leave the memory."""
        return self._size_bytes > self._memory_bytes

    def keep(self, input_id: str, payload: bytes) -> None:
        """Hold the payload of an open input. Harmless where it is held already."""
        stem, _, index = input_id.rpartition("-")
        of_call = self._by_call.get(stem)
        if of_call is None:
            of_call = self._by_call[stem] = {}
            self._size_bytes += CALL_BYTES
        if index not in of_call:
            of_call[index] = payload
            self._size_bytes += len(payload) + ENTRY_BYTES

    def get(self, input_id: str) -> bytes | None:
        """Return the payload if it is in memory."""
        stem, _, index = input_id.rpartition("-")
        of_call = self._by_call.get(stem)
        return of_call.get(index) if of_call is not None else None

    def discard(self, input_id: str) -> None:
        """Let go of a payload, if it is in memory."""
        stem, _, index = input_id.rpartition("-")
        of_call = self._by_call.get(stem)
        if of_call is None:
            return
        payload = of_call.pop(index, None)
        if payload is not None:
            self._size_bytes -= len(payload) + ENTRY_BYTES
        if not of_call:
            del self._by_call[stem]
            self._size_bytes -= CALL_BYTES

    def discard_run(self, call_id: str, run: range) -> None:
        """Let go of the payloads of many inputs of one call."""
        stem = f"in-{call_id[3:]}"
        of_call = self._by_call.get(stem, {})
        indices = run if len(run) < len(of_call) else [i for i in map(int, of_call) if i in run]
        for index in indices:
            self.discard(f"{stem}-{index}")

    def leave_to_store(self, input_ids: Iterable[str]) -> None:
        """Drop from memory what is on disk by now."""
        for input_id in input_ids:
            self.discard(input_id)

    async def load(self, input_ids: Sequence[str]) -> dict[str, bytes]:
        """Read payloads from the store."""
        return await self._reading.get(self._reading.store.payloads, input_ids)
