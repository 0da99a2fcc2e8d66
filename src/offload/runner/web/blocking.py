"""One request and its response, for code that is not async: whatever it waits for blocks its thread."""

from __future__ import annotations

import io

from offload.runner.bodies import Prepared
from offload.runner.web.exchange import BlockingExchange
from offload.runner.web.failures import show_error
from offload.wire.guest import web
from offload.wire.limits import INLINE_PAYLOAD_BYTES

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Cycle:
    """One of them. What is said of the response up to `INLINE_PAYLOAD_BYTES` waits for the rest, unless it is to be seen at once.

    As a context it gives up what is open where something is raised, which passes through, and shows it where that is user code's.
    """

    def __init__(self, head: web.RequestHead) -> None:
        self.head = head
        self._exchange: BlockingExchange | None = None
        self._unread = head.body
        self._is_read = head.is_whole
        self._response: web.ResponseHead | None = None
        self._gathered: list[bytes] = []
        self._size = 0
        self._is_streamed = False
        self._is_gone = False  # the client, as user code was told

    @property
    def exchange(self) -> BlockingExchange:
        """The way of what does not fit the input."""
        if self._exchange is None:
            self._exchange = BlockingExchange()
        return self._exchange

    def read_some(self) -> bytes:
        """Return the next piece of the request's body; an empty one at its end. Raises `ConnectionError`."""
        if self._unread:
            unread, self._unread = self._unread, b""
            return unread
        while not self._is_read:
            part = self.exchange.receive()
            if not isinstance(part, web.Body):
                self._is_gone = True
                raise ConnectionResetError("the client has gone before the end of its request")
            self._is_read = part.last
            if part.data:
                return part.data
        return b""

    def read(self) -> bytes:
        """Return the whole body. Raises `ConnectionError`."""
        pieces: list[bytes] = []
        while True:
            piece = self.read_some()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    def begin(self, response: web.ResponseHead) -> None:
        """Say how the response begins."""
        web.check_headers(response.headers)
        self._response = response

    def write(self, data: bytes, *, at_once: bool) -> None:
        """Add to the response's body. Raises `ConnectionError` where nobody reads it any more."""
        if self.head.method == "HEAD":
            return
        self._gathered.append(data)
        self._size += len(data)
        if at_once or self._size > INLINE_PAYLOAD_BYTES:
            self._flush(last=False)

    def finish(self) -> Prepared:
        """Return the input's result, once all of the response has been said."""
        if self._response is None:
            raise RuntimeError("there is no response")
        if self._exchange is None:
            whole = web.encode_response(self._response, b"".join(self._gathered))
            if len(whole) <= INLINE_PAYLOAD_BYTES:
                return Prepared(web.ENCODING, whole)
        self._flush(last=True)
        self.exchange.close()
        return Prepared(web.ENCODING, b"")

    def __enter__(self) -> Self:
        """See the class."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """See the class."""
        if error is not None and self._exchange is not None:
            self._exchange.give_up()
        is_of_client = self._is_gone and isinstance(error, ConnectionError)
        if isinstance(error, Exception) and not is_of_client:
            show_error()

    def _flush(self, *, last: bool) -> None:
        if self._response is not None and not self._is_streamed:
            self._is_streamed = True
            self.exchange.send(self._response)
        data, self._gathered, self._size = b"".join(self._gathered), [], 0
        for at in range(0, max(len(data), 1), web.MAX_PART_BYTES):
            end = at + web.MAX_PART_BYTES
            piece = web.Body(data[at:end], last and end >= len(data))
            if piece.data or piece.last:
                self.exchange.send(piece)
        if self.exchange.is_over and not last:
            self._is_gone = True
            raise BrokenPipeError("the client has gone before the end of its response")


class BodyFile(io.RawIOBase):
    """The request's body as a file to be read once."""

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self._rest = b""

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # it is never called with anything else
        """See `io.RawIOBase`."""
        data = self._rest or self._cycle.read_some()
        taken = data[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = data[len(taken) :]
        return len(taken)
