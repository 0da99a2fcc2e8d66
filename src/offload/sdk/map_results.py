"""A map's results as an iterator: in order or as they come, failures raised or yielded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from offload.sdk.blocking import StreamWork
from offload.sdk.call import failure_of, value_of
from offload.sdk.mapping import Ordering

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Iterator

    from offload.sdk.map_call import Arguments, MapCall
    from offload.sdk.values import Ended


class Order(NamedTuple):
    """How its user wants the results."""

    function_name: str
    in_order: bool
    yields_exceptions: bool


def stream(
    call: MapCall,
    inputs: Callable[[asyncio.AbstractEventLoop | None], Iterator[Arguments]],
    order: Order,
) -> StreamWork[Ended, object]:
    """Return the iteration over a map."""
    ordering: Ordering[Ended] = Ordering(in_order=order.in_order)
    name = order.function_name

    def open_stream(loop: asyncio.AbstractEventLoop | None) -> AsyncGenerator[list[Ended], None]:
        return call.batches(inputs(loop))

    def results(batch: list[Ended]) -> Iterator[object]:
        for arrived in batch:
            for _, ended in ordering.put(arrived.position, arrived):
                call.release(ended)
                error = failure_of(ended, call.call_id, name) if order.yields_exceptions else None
                yield error or value_of(ended, call.call_id, name)

    return StreamWork(open_stream, results)
