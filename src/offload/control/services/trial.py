"""Trying a version out: a container of each of its functions starts and loads it before anybody's call goes there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import ScalingChanged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from offload.control.core.dispatch import PoolView
    from offload.control.core.model import Function
    from offload.control.core.views import Readiness
    from offload.control.services.kernel import Kernel

LOOK_SECONDS = 0.02
PROGRESS_SECONDS = 0.2
# How long nothing at all may start for a function. Long enough for containers of others to give way; a worker that is not
# there yet has as much time to come.
PATIENCE_SECONDS = 60.0


class Trial:
    """Waits until a container of each function is ready, and as many as it is to have at least."""

    def __init__(self, kernel: Kernel, app_id: str, functions: Sequence[Function]) -> None:
        self._kernel = kernel
        self._app_id = app_id
        self._waiting = {function.function_id: function for function in functions}
        self._idle_since = {function_id: self._now() for function_id in self._waiting}

    async def run(self) -> AsyncIterator[list[PoolView]]:
        """Yield progress until all are ready. Raises `DomainError` where one will not be."""
        for function in self._waiting.values():
            scaling = function.scaling
            wanted = replace(scaling, min_containers=max(1, scaling.min_containers))
            self._kernel.apply(ScalingChanged(function.function_id, wanted))
        shown_at = self._now()
        while self._waiting:
            for function in tuple(self._waiting.values()):
                self._look(function)
            if self._now() - shown_at >= PROGRESS_SECONDS:
                shown_at = self._now()
                yield self._progress()
            if self._waiting:
                await asyncio.sleep(LOOK_SECONDS)

    def _look(self, function: Function) -> None:
        function_id = function.function_id
        seen = self._kernel.dispatcher.readiness(function_id)
        if seen is None:
            raise _refusal(function, "the server forgot it")
        if seen.ready >= max(1, function.scaling.min_containers):
            del self._waiting[function_id]
            # Its room is for the others now; what is warm stays as long as nobody needs that.
            self._kernel.apply(ScalingChanged(function_id, function.scaling))
            return
        if seen.is_hopeless:
            raise _refusal(function, seen.trouble)
        self._watch_patience(function, seen)

    def _progress(self) -> list[PoolView]:
        dispatcher = self._kernel.dispatcher
        seen = {one: dispatcher.readiness(one) for one in self._waiting}
        return [
            replace(pool, waiting_reason=one.waiting_reason)
            for pool in dispatcher.pools(self._app_id)
            if (one := seen.get(pool.function.function_id)) is not None
        ]

    def _watch_patience(self, function: Function, seen: Readiness) -> None:
        if seen.starting or seen.ready:
            self._idle_since[function.function_id] = self._now()
        elif self._now() - self._idle_since[function.function_id] >= PATIENCE_SECONDS:
            last = f"; the last one that was tried: {seen.trouble}" if seen.trouble else ""
            raise _refusal(
                function,
                f"no container of it was started for {PATIENCE_SECONDS:g} s: {seen.waiting_reason}{last}; "
                "`--no-check` deploys without trying it out",
            )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _refusal(function: Function, reason: str) -> DomainError:
    return DomainError(
        ErrorCode.FAILED_PRECONDITION,
        f"Function {function.name!r} does not start, so nothing was changed: {reason.removesuffix('.')}.",
    )
