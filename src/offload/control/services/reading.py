"""Reads of the store, off the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.ports.store import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Reading:
    """Runs the store's blocking reads in a few threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="store-read")

    async def get(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `method` of the store returns; raises `DomainError` when the store cannot serve."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: method(*args, **kwargs))
        except StoreError as error:
            raise DomainError(ErrorCode.UNAVAILABLE, error.message) from error

    def close(self) -> None:
        """Let the threads go. Idempotent."""
        self._threads.shutdown(wait=True)
