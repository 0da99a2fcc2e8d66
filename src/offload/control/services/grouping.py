"""Group commit for operations that have answers: what gathers while one transaction is under way goes into the next.

Nobody is kept waiting for company: an operation that comes while nothing is being written begins a transaction in the next
turn of the loop, with whatever else came in this one.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

O = TypeVar("O")  # noqa: E741  # an operation
A = TypeVar("A")

# A transaction is as long as what waits behind it has to wait.
MAX_OPERATIONS = 500


class Grouping(Generic[O, A]):
    """Applies operations in the order they come, from one thread. Must be made inside a running event loop."""

    def __init__(self, apply: Callable[[Sequence[O]], Sequence[A]]) -> None:
        self._apply = apply
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="objects")
        self._waiting: list[tuple[O, asyncio.Future[A]]] = []
        self._is_due = False
        self._is_applying = False
        self._emptied: asyncio.Future[None] | None = None
        self._is_closed = False

    def submit(self, operation: O) -> asyncio.Future[A]:
        """Take an operation; return its answer to come, once what it did is on disk, or `DomainError` when the store refuses.

        What is submitted in one turn of the loop is done in one transaction, as far as it fits. Whoever gives the answer up
        does not learn whether it was done. Raises `DomainError` once it is closed.
        """
        if self._is_closed:
            raise DomainError(ErrorCode.UNAVAILABLE, "The server is ending: ask it again later.")
        answer: asyncio.Future[A] = self._loop.create_future()
        self._waiting.append((operation, answer))
        self._schedule()
        return answer

    async def answer(self, operation: O) -> A:
        """See `submit`."""
        return await self.submit(operation)

    def later(self, operation: O) -> None:
        """Apply an operation whose answer and failure do not matter."""
        answer = self.submit(operation)
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def close(self) -> None:
        """Finish what waits, and take no more. Idempotent."""
        self._is_closed = True
        if self._waiting or self._is_applying:
            self._emptied = self._loop.create_future()
            await self._emptied
        self._thread.shutdown(wait=True)

    def _schedule(self) -> None:
        if not self._is_due and not self._is_applying:
            self._is_due = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        batch, self._waiting = self._waiting[:MAX_OPERATIONS], self._waiting[MAX_OPERATIONS:]
        self._is_applying = True
        operations = [operation for operation, _ in batch]
        applied = self._loop.run_in_executor(self._thread, self._apply, operations)
        applied.add_done_callback(lambda done: self._finish(batch, done))

    def _finish(
        self, batch: list[tuple[O, asyncio.Future[A]]], applied: asyncio.Future[Sequence[A]]
    ) -> None:
        self._is_applying = False
        error = applied.exception()
        if error is None:
            for (_, future), answer in zip(batch, applied.result(), strict=True):
                if not future.done():
                    future.set_result(answer)
        else:
            refusal = _refusal(error)
            for _, future in batch:
                if not future.done():
                    future.set_exception(refusal)
        if self._waiting:
            self._schedule()
        elif self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)


def _refusal(error: BaseException) -> DomainError:
    if isinstance(error, StoreError):
        message = error.message
    else:
        message = f"The store failed unexpectedly ({type(error).__name__}: {error})."
    return DomainError(ErrorCode.RESOURCE_EXHAUSTED, message)
