"""Values on their way in and out: inline while small, through a file in memory when large."""

from __future__ import annotations

import _pickle as pickle
import io
import os

from offload.sdk import serialize
from offload.wire.guest import Body, Bulk, GuestProtocolError
from offload.wire.limits import CHUNK_BYTES, INLINE_PAYLOAD_BYTES

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import IO, NamedTuple

    from offload.runner.outbox import Outbox
else:
    from offload.wire.records import NamedTuple

# A function's code is named by the pickler it needs, its inputs by the plain one; both are read alike. The last is of requests
# to a web endpoint; see `offload.wire.guest.web`, which few containers need.
WEB_ENCODING = "web"
_ENCODINGS = (serialize.ENCODING, serialize.CODE_ENCODING, WEB_ENCODING)


def _open_spool() -> IO[bytes]:
    # Not in /tmp: that is bounded, and its bound is the user's.
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("offload-body", os.MFD_CLOEXEC), "w+b")
    import tempfile  # noqa: PLC0415 - slow to import and rarely needed

    return tempfile.TemporaryFile()


class Prepared(NamedTuple):
    """What user code's result is as bytes already, and of which encoding."""

    encoding: str
    data: bytes


class Incoming(NamedTuple):
    """A received value, not yet unpickled."""

    inline: bytes
    file: IO[bytes] | None
    is_web: bool = False

    def load(self) -> object:
        """Return the object and give the memory of its pickle back; a request comes as the arguments of who answers it."""
        if self.is_web:
            from offload.wire.guest.web import decode_request  # noqa: PLC0415 - few containers need it

            with self.open() as file:
                head = decode_request(file.read())
            return (head,), {}, head.target
        if self.file is None:
            return serialize.loads(self.inline)
        with self.file:
            return serialize.load_from(self.file)

    def open(self) -> IO[bytes]:
        """Return a file with the pickle, to be read once."""
        return io.BytesIO(self.inline) if self.file is None else self.file

    def drop(self) -> None:
        """Give the memory back unread."""
        if self.file is not None:
            self.file.close()


class BulkInbox:
    """Puts the pieces of large bodies together."""

    def __init__(self) -> None:
        self._partial: dict[int, IO[bytes]] = {}
        self._complete: dict[int, IO[bytes]] = {}

    def add(self, piece: Bulk) -> None:
        """Take one piece."""
        if piece.number in self._complete:
            raise GuestProtocolError(f"bulk {piece.number} goes on after its end")
        file = self._partial.get(piece.number)
        if file is None:
            file = self._partial[piece.number] = _open_spool()
        file.write(piece.data)
        if piece.last:
            file.seek(0)
            self._complete[piece.number] = self._partial.pop(piece.number)

    def take(self, body: Body) -> Incoming:
        """Return the value of a body, whose pieces must all have come."""
        if body.encoding not in _ENCODINGS:
            raise GuestProtocolError(f"unknown encoding {body.encoding!r}")
        is_web = body.encoding == WEB_ENCODING
        if body.bulk == 0:
            return Incoming(body.inline, None, is_web)
        file = self._complete.pop(body.bulk, None)
        if file is None:
            raise GuestProtocolError(f"bulk {body.bulk} is named before it is complete")
        return Incoming(b"", file, is_web)


class Outgoing:
    """A pickle in the making: a file to write to that stays in memory until it is large."""

    __slots__ = ("_chunks", "_encoding", "_file", "_size")

    def __init__(self, encoding: str = serialize.ENCODING) -> None:
        self._encoding = encoding
        self._chunks: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def write(self, data: bytes) -> int:
        """See `io.RawIOBase.write`; takes everything."""
        size = len(data) if isinstance(data, bytes) else memoryview(data).nbytes
        if self._file is None and self._size + size > INLINE_PAYLOAD_BYTES:
            self._file = _open_spool()
            self._file.writelines(self._chunks)
            self._chunks.clear()
        if self._file is None:
            self._chunks.append(bytes(data))
        else:
            self._file.write(data)
        self._size += size
        return size

    def clear(self) -> None:
        """Forget what was written."""
        self._chunks.clear()
        self._size = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def send(self, outbox: Outbox) -> Body:
        """Return the body that names the value, its pieces sent before where it is large."""
        if self._file is None:
            return Body(self._encoding, b"".join(self._chunks))
        number = outbox.next_bulk()
        with self._file as file:
            file.seek(0)
            left = self._size
            while left > 0:
                data = file.read(min(CHUNK_BYTES, left))
                left -= len(data)
                outbox.add(Bulk(number, data, left <= 0), len(data))
        return Body(self._encoding, b"", number)


_SMALL = (bool, int, float, type(None))


def dump_value(value: object, what: str) -> Outgoing:
    """Pickle what user code returned or yielded; `what` names it in the error."""
    if type(value) is Prepared:
        outgoing = Outgoing(value.encoding)
        outgoing.write(value.data)
        return outgoing
    outgoing = Outgoing()
    if type(value) in _SMALL:
        outgoing.write(pickle.dumps(value, 5))
        return outgoing
    try:
        if not serialize.dump_plainly_to(value, outgoing):
            outgoing.clear()
            serialize.dump_to(value, outgoing, what)
    except BaseException:
        outgoing.clear()
        raise
    return outgoing
