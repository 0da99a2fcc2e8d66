"""An instance of a user's class in the caller's own process."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from offload.sdk.life_cycle import Blueprint, make, roles_of, run_hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class LocalInstance:
    """Made when it is first used: then its enter hooks run, those with `snap` first. Its exit hooks are for containers."""

    def __init__(self, user_class: type, parameters: Mapping[str, object]) -> None:
        self._blueprint = Blueprint(user_class, parameters, snapshot=False)
        self._lock = threading.Lock()
        self._instance: object = None
        self.is_made = False

    def get(self) -> object:
        """Return it; whatever its constructor or a hook raises passes through, and the next use tries again."""
        if not self.is_made:
            with self._lock:
                if not self.is_made:
                    self._instance = self._make()
                    self.is_made = True
        return self._instance

    def call(self, method: str, /, *args: object, **kwargs: object) -> object:
        """Call one of its methods."""
        bound: Callable[..., object] = getattr(self.get(), method)  # type: ignore[explicit-any]
        return bound(*args, **kwargs)

    def _make(self) -> object:
        instance = make(self._blueprint)
        roles = roles_of(self._blueprint.user_class)
        run_hooks(instance, (*roles.snap, *roles.enter), _wait_for)
        return instance


def _wait_for(awaitable: object) -> object:
    """Wait on a loop of its own, in a thread of its own: the caller's may be running."""

    async def wait() -> object:
        return await awaitable  # type: ignore[misc]  # it says that it can be awaited

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, wait()).result()
