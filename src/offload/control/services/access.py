"""What a container may reach: what is of its own workspace and environment. To it everything else does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import ContainerWaits
from offload.control.core.objects import Scope

if TYPE_CHECKING:
    from offload.control.core.model import Function
    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.objects import Objects
    from offload.control.services.versions import Versions


class Access:
    """Every method raises `DomainError`, as if there were no such thing, for what is of another scope."""

    def __init__(
        self, kernel: Kernel, archive: Archive, objects: Objects, versions: Versions
    ) -> None:
        self._kernel = kernel
        self._waits: dict[str, int] = {}  # for how many calls each container waits
        self._archive = archive
        self._objects = objects
        self._versions = versions

    @contextmanager
    def waiting(self, container_id: str) -> Iterator[None]:
        """Have the container count as one that waits for a call of its own meanwhile."""
        self._count_wait(container_id, 1)
        try:
            yield
        finally:
            self._count_wait(container_id, -1)

    def _count_wait(self, container_id: str, change: int) -> None:
        calls = self._waits.pop(container_id, 0) + change
        if calls:
            self._waits[container_id] = calls
        self._kernel.apply(ContainerWaits(container_id, calls))

    async def function_of(self, function_id: str) -> Function:
        """Return the function of a container that asks."""
        return await self._archive.require_function(function_id)

    async def require_function(self, function_id: str, scope: Scope) -> None:
        """Refuse a function of another scope."""
        function = await self._archive.require_function(function_id)
        if Scope(function.workspace, function.environment) != scope:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no function {function_id!r} in this workspace and environment.",
            )

    async def is_of_same_version(self, function_id: str, app_id: str) -> bool:
        """Whether the function is of this app, which is a version of a deployed one."""
        if self._versions.of_app(app_id) is None:
            return False
        function = await self._archive.require_function(function_id)
        return function.app_id == app_id

    async def require_call(self, call_id: str, scope: Scope, *, may_be_new: bool = False) -> None:
        """Refuse a call of another scope, and one that is not there unless it is about to be made."""
        live = self._kernel.calls.get(call_id)
        if live is not None:
            function_id = live.call.function_id
        else:
            stored = await self._archive.call(call_id)
            if stored is None:
                if may_be_new:
                    return
                stored = await self._archive.require_call(call_id)  # says why there is none
            function_id = stored.function_id
        function = await self._archive.require_function(function_id, call_id)
        if Scope(function.workspace, function.environment) != scope:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no call {call_id!r} in this workspace and environment.",
            )

    async def require_new_call(
        self, call_id: str, after: Iterable[str], scope: Scope, *, may_be_known: bool
    ) -> None:
        """Refuse a call whose id is that of another scope's, or that comes after one of those."""
        if call_id and (
            may_be_known or call_id in self._kernel.calls or call_id in self._kernel.recent
        ):
            await self.require_call(call_id, scope, may_be_new=True)
        for other in after:
            await self.require_call(other, scope)

    async def require_object(self, object_id: str, scope: Scope) -> None:
        """Refuse an object of another scope."""
        await self._objects.require(object_id, None, scope)
