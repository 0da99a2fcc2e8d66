"""The shape of a request handler, independent of the carrier that calls it.

A handler is one of, by its method's streaming:

- unary to unary:   `async def handler(request, context) -> reply`
- unary to stream:  `def handler(request, context) -> AsyncIterator[reply]` (an async generator function)
- stream to unary:  `async def handler(requests: AsyncIterator[request], context) -> reply`
- stream to stream: `def handler(requests: AsyncIterator[request], context) -> AsyncIterator[reply]`

It fails by raising `WireError`; anything else it raises becomes INTERNAL without details. When the caller goes away
the handler is cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Who calls, over what."""

    peer: str  # address of the other side, for messages to people
    carrier: str  # "link" or "grpc"


Request = Message | AsyncIterator[Message]
# Which message a handler takes depends on its method's name, which no type can say.
Handler = Callable[..., Awaitable[Message] | AsyncIterator[Message]]  # type: ignore[explicit-any]
