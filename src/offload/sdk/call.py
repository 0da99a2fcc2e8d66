"""Calls that were started and not waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from offload.errors import InvalidError
from offload.sdk import serialize
from offload.sdk.blocking import Blocking, StreamWork, Work, blocking, blocking_stream
from offload.sdk.failures import to_exception
from offload.sdk.identity import whoever_runs_this
from offload.sdk.session import current_client
from offload.sdk.values import Ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from typing import IO

    from offload.sdk.values import CallStatus

T = TypeVar("T")
R = TypeVar("R", covariant=True)  # noqa: PLC0105  # the name is the field's


class FunctionCall(Generic[R]):
    """A call on the server. It goes on without this object; `from_id` finds it again, also from elsewhere."""

    def __init__(self, call_id: str, name: str = "", kind: str | None = None) -> None:
        self._id = call_id
        self._name = name
        self._kind = kind

    @classmethod
    def from_id(cls, call_id: str) -> FunctionCall[object]:
        """Return the call with this id, of this process or any other. Nothing is asked of the server yet."""
        if not call_id.startswith("fc-"):
            raise InvalidError(f"{call_id!r} is not the id of a call: those begin with fc-")
        return FunctionCall(call_id)

    def __repr__(self) -> str:
        return f"FunctionCall.from_id({self._id!r})"

    @property
    def object_id(self) -> str:
        """The id under which the call can be found again."""
        return self._id

    @blocking
    def get(self, timeout: float | None = None) -> Work[list[Ended], R]:
        """Wait for the result and return it, or raise what the function raised; a map's results come as a list.

        Raises `TimeoutError` after `timeout` seconds; the call goes on.
        """
        return Work(self._wait(timeout), self._result)

    @blocking_stream
    def stream(self) -> StreamWork[object, R]:
        """Yield a generator's items while it runs."""
        return StreamWork(lambda _: follow_items(self._id), self.items_of)

    @blocking
    def status(self) -> Work[CallStatus, CallStatus]:
        """Return what the call is and how far it is."""
        return Work(self._describe(), _same)

    @blocking
    def cancel(self, reason: str = "") -> Work[None, None]:
        """Cancel what is left of the call; whoever waits for it gets `InputCancelledError`, which says by whom."""
        by = f"cancelled by {whoever_runs_this()}"
        return Work(self._cancel(f"{by}: {reason}" if reason else by), _same)

    async def wait_ended(self) -> list[Ended]:
        """Return how the call's inputs ended, once all have."""
        if self._kind is None:
            status = await current_client().describe(self._id)
            self._kind, self._name = status.kind, status.function_name
        if self._kind == "generator":
            raise InvalidError(
                f"{self._id} is a generator's call: its items come from .stream(), not from .get()"
            )
        ended: list[Ended] = []
        async for batch in current_client().outcomes(self._id):
            ended += batch
        return ended

    def _result(self, ended: list[Ended]) -> R:
        if self._kind != "map" and ended:
            return cast("R", value_of(ended[0], self._id, self._name))
        in_order = sorted(ended, key=lambda each: each.position)
        return cast("R", [value_of(each, self._id, self._name) for each in in_order])

    def items_of(self, batch: list[object]) -> Iterator[R]:
        """Turn what arrived into items; raise what the generator raised."""
        for each in batch:
            if not isinstance(each, Ended):
                yield cast("R", load(cast("bytes | IO[bytes]", each)))
            elif each.failure is not None:
                value_of(each, self._id, self._name)

    async def _wait(self, timeout: float | None) -> list[Ended]:  # noqa: ASYNC109  # the public name
        try:
            async with asyncio.timeout(timeout):
                return await self.wait_ended()
        except TimeoutError:
            raise TimeoutError(
                f"{self._id} has not ended within {timeout:g} s; it goes on, ask again with .get()"
            ) from None

    async def _describe(self) -> CallStatus:
        return await current_client().describe(self._id)

    async def _cancel(self, reason: str) -> None:
        await current_client().cancel(self._id, reason)


async def follow_items(call_id: str) -> AsyncGenerator[list[object], None]:
    """Yield what arrives of a generator's call: its items' bytes, at last how it ended."""
    async for batch in current_client().items(call_id):
        yield list(batch)


def load(data: bytes | IO[bytes]) -> object:
    """Return the object that was pickled; a file is closed."""
    if isinstance(data, bytes):
        return serialize.loads(data)
    with data as file:
        return serialize.load_from(file)


def value_of(ended: Ended, call_id: str, name: str) -> object:
    """Return an input's result, or raise why there is none."""
    error = failure_of(ended, call_id, name)
    if error is not None:
        raise error
    return load(ended.value)


def failure_of(ended: Ended, call_id: str, name: str) -> BaseException | None:
    """Return the exception of an input, or None where it succeeded."""
    if ended.failure is None:
        return None
    function = f" of {name}()" if name else ""
    return to_exception(
        ended.failure, f"input {ended.position}{function}, call {ended.call_id or call_id}"
    )


def _same(value: T) -> T:
    return value


def _gather(*calls: FunctionCall[T]) -> Work[list[list[Ended]], list[T]]:
    async def wait_all() -> list[list[Ended]]:
        return list(await asyncio.gather(*(call.wait_ended() for call in calls)))

    def results(ended: list[list[Ended]]) -> list[T]:
        return [call._result(each) for call, each in zip(calls, ended, strict=True)]  # noqa: SLF001

    return Work(wait_all(), results)


def _wait_first(*calls: FunctionCall[T]) -> Work[FunctionCall[T], FunctionCall[T]]:
    if not calls:
        raise InvalidError("wait_first needs at least one call")

    async def wait_any() -> FunctionCall[T]:
        tasks = {asyncio.ensure_future(call.wait_ended()): call for call in calls}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        return tasks[next(task for task in tasks if task in done)]

    return Work(wait_any(), _same)


gather = Blocking(_gather)
"""Wait for all of these calls; return their results in the order of the calls. Raises the first failure."""

wait_first = Blocking(_wait_first)
"""Wait until one of these calls has ended, however it did; return that one."""
