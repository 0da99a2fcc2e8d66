"""A `Run` that fits one exchange of frames, made and read in the caller's own thread.

The connection's thread only passes the bytes on: each thread that touches a call touches it with cold caches.
"""

from __future__ import annotations

from offload.sdk.serialize import ENCODING
from offload.sdk.values import Ended
from offload.wire.gen import calls_pb2, common_pb2
from offload.wire.limits import INLINE_PAYLOAD_BYTES
from offload.wire.status import WireError

Reply = bytes | WireError

_SUCCEEDED = common_pb2.INPUT_STATE_SUCCEEDED


class DirectRun:
    """One input that travels inside its request."""

    __slots__ = ("body",)

    def __init__(self, call_id: str, function_id: str, args: bytes) -> None:
        payload = common_pb2.Payload(encoding=ENCODING, inline=args)
        self.body = calls_pb2.RunRequest(
            call_id=call_id, function_id=function_id, args=payload
        ).SerializeToString()

    @staticmethod
    def fits(args: bytes) -> bool:
        """Whether an input can travel inside its request."""
        return len(args) <= INLINE_PAYLOAD_BYTES

    @staticmethod
    def read(reply: Reply) -> Ended | None:
        """Return how the input ended where it succeeded with an inline value; None: more is to be done about it."""
        if isinstance(reply, WireError):
            return None
        outcome = calls_pb2.RunReply.FromString(reply).outcome
        if outcome.state != _SUCCEEDED or outcome.value.WhichOneof("body") == "blob":
            return None
        return Ended(0, 0, outcome.value.inline, None)
