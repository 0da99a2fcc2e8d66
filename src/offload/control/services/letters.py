"""Dead letters: inputs that ended as lost, to look at, to submit again, or to put away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import FunctionRegistered
from offload.control.core.model import Call, CallKind
from offload.control.ports.records import DropLetter, ReplayedLetter
from offload.control.services.submission import NewInput, begin, new_call_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.ports.records import DeadLetter
    from offload.control.services.apps import Apps
    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.reading import Reading


class Letters:
    """The dead-letter queue."""

    def __init__(self, kernel: Kernel, reading: Reading, archive: Archive, apps: Apps) -> None:
        self._kernel = kernel
        self._reading = reading
        self._archive = archive
        self._apps = apps

    async def newest(self, app: str, limit: int) -> tuple[list[DeadLetter], int]:
        """Return dead letters, newest first, of an app by id or name or of all, and how many there are."""
        await self._kernel.journal.flush()
        store = self._reading.store
        letters = await self._reading.get(store.dead_letters, app, limit)
        return letters, await self._reading.get(store.dead_letter_count, app)

    async def replay(self, input_ids: Sequence[str]) -> list[tuple[str, str]]:
        """Submit these letters again, each as a call of its own; return (input id, call id) once that is on disk.

        They run although their app is stopped, and no call has to come before them any more.
        """
        self._kernel.journal.require_working()
        letters = await self._require(input_ids)
        payloads = await self._reading.get(
            self._reading.store.payloads, [letter.input_id for letter in letters]
        )
        replays = []
        for letter in letters:
            function = await self._archive.require_function(letter.function_id)
            is_stopped = not self._apps.is_running(function.app_id)
            self._kernel.apply(FunctionRegistered(function, is_stopped))
            kind = CallKind.GENERATOR if function.is_generator else CallKind.SINGLE
            call_id = self._submit(letter, kind, payloads[letter.input_id])
            replays.append((letter.input_id, call_id))
        await self._kernel.journal.flush()
        return replays

    async def drop(self, input_ids: Sequence[str]) -> int:
        """Take these letters off the list; return how many, once that is on disk."""
        letters = await self._require(input_ids)
        await self._kernel.journal.durable([DropLetter(letter.input_id) for letter in letters])
        return len(letters)

    def _submit(self, letter: DeadLetter, kind: CallKind, payload: bytes) -> str:
        now = self._kernel.clock.now()
        call = Call(new_call_id(now), letter.function_id, kind, now, attached=False, durable=True)
        only = NewInput(0, payload, letter.blob)
        begin(self._kernel, call, (only,), closed=True, although_stopped=True)
        self._kernel.journal.write((ReplayedLetter(letter.input_id, call.call_id),))
        return call.call_id

    async def _require(self, input_ids: Sequence[str]) -> list[DeadLetter]:
        await self._kernel.journal.flush()
        letters = []
        for input_id in dict.fromkeys(input_ids):
            letter = await self._reading.get(self._reading.store.dead_letter, input_id)
            if letter is None:
                raise DomainError(
                    ErrorCode.NOT_FOUND,
                    f"There is no dead letter {input_id!r}: `offload dlq ls` lists them.",
                )
            letters.append(letter)
        return letters
