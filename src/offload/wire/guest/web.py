"""Web requests on their way into a container, and responses on their way out: as values, and as bytes.

A request is an input whose arguments have the encoding `ENCODING`: `encode_request` makes them. Where the whole response is small
it is the input's result, of the same encoding: `encode_response`. Everything else goes through an exchange: the runner opens
`EXCHANGE` on behalf of its input, says which in an `Open`, and then both sides send parts, each one message of that request,
of at most `MAX_PART_BYTES` of data, each within the credit of the other side. Once there is an exchange the response goes through
it, and the result of the input is empty.

    to the container:    Body | Disconnect, or for a WebSocket Text | Binary | Close
    from the container:  Open, then ResponseHead, Body …, or for a WebSocket Accept, then Text | Binary | Close

The last `Body` of a direction has `last`; so has the last piece of a message of a WebSocket. A `Close` before an `Accept` refuses
the WebSocket, as does a `ResponseHead` with its `Body`. The container ends its side when it has said everything; the server then ends its
own, and only after that the input ends: so nothing of a response comes later than the result of its input. A side that ends before
its last `Body` or `Close` has cut the response, or has lost its client.

The other side of each is hostile: every length is checked against what is there, and a head holds nothing that could end it before
its time. Valid on CPython 3.9 with the standard library alone.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable, NamedTuple, Union

    Headers = tuple[tuple[bytes, bytes], ...]
else:
    from offload.wire.records import NamedTuple

ENCODING = "web"
EXCHANGE = "offload.v1.Web/Exchange"

MAX_PART_BYTES = 64 * 1024  # of data in one part: a link has so many under way for each slow reader
MAX_HEAD_BYTES = 128 * 1024  # of names and values of headers together
MAX_HEADERS = 512
MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # of a WebSocket, all its pieces together


class WebFormatError(ValueError):
    """The other side sent bytes that are no request, response or part."""


class RequestHead(NamedTuple):
    """A request, or the opening of a WebSocket, as ASGI describes it."""

    method: str
    scheme: str  # "http", "https", "ws" or "wss"
    http_version: str  # "1.1"
    path: str  # decoded, below `root_path`, as the endpoint sees it: "/users/7"
    raw_path: bytes  # as it came, without the query
    query: bytes  # without the question mark
    root_path: str  # what stands before `path` in the address: "/web/my-app/api", or empty
    headers: Headers  # names in lower case
    client: tuple[str, int]
    server: tuple[str, int]
    is_websocket: bool = False
    subprotocols: tuple[str, ...] = ()
    body: bytes = b""  # its beginning
    is_whole: bool = True  # the body ends with it; else the rest comes in an exchange
    target: str = ""  # which method of a class; empty for a function


class ResponseHead(NamedTuple):
    """How a response begins."""

    status: int
    headers: Headers


class Open(NamedTuple):
    """The first part of an exchange: which input it is of."""

    input_id: str


class Body(NamedTuple):
    """A piece of a body."""

    data: bytes
    last: bool


class Disconnect(NamedTuple):
    """The client has gone."""


class Accept(NamedTuple):
    """The WebSocket is open from here on."""

    subprotocol: str  # empty: none
    headers: Headers


class Text(NamedTuple):
    """A piece of a text message, in UTF-8; a character may be cut."""

    data: bytes
    last: bool


class Binary(NamedTuple):
    """A piece of a message of bytes."""

    data: bytes
    last: bool


class Close(NamedTuple):
    """The WebSocket ends."""

    code: int
    reason: str


if TYPE_CHECKING:
    ToContainer = Union[Body, Disconnect, Text, Binary, Close]
    FromContainer = Union[Open, ResponseHead, Body, Accept, Text, Binary, Close]
    Part = Union[Open, ResponseHead, Body, Disconnect, Accept, Text, Binary, Close]

TO_CONTAINER: tuple[type, ...] = (Body, Disconnect, Text, Binary, Close)
FROM_CONTAINER: tuple[type, ...] = (Open, ResponseHead, Body, Accept, Text, Binary, Close)

_REQUEST = struct.Struct("<B12IHHHH")  # flags, lengths, ports, numbers of headers and subprotocols
_WEBSOCKET, _WHOLE = 1, 2
_HEADER = struct.Struct("<II")  # name, value
_LENGTH = struct.Struct("<I")
_RESPONSE = struct.Struct("<HH")  # status, number of headers
_CODE = struct.Struct("<H")

# RFC 9110, 5.6.2, in lower case.
_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_NOT_IN_VALUES = bytes(byte for byte in range(32) if byte != 9) + b"\x7f"


# --- requests ---


def encode_request(head: RequestHead) -> bytes:
    """Return the arguments of the input that is this request."""
    texts = (
        head.method.encode(),
        head.scheme.encode(),
        head.http_version.encode(),
        head.path.encode("utf-8", "surrogateescape"),
        head.raw_path,
        head.query,
        head.root_path.encode("utf-8", "surrogateescape"),
        head.client[0].encode(),
        head.server[0].encode(),
        head.target.encode(),
        head.body,
    )
    flags = (_WEBSOCKET if head.is_websocket else 0) | (_WHOLE if head.is_whole else 0)
    headers = _encode_headers(head.headers)
    fixed = _REQUEST.pack(
        flags,
        *map(len, texts),
        len(headers),
        head.client[1],
        head.server[1],
        len(head.headers),
        len(head.subprotocols),
    )
    parts = [fixed, *texts, headers]
    for name in head.subprotocols:
        data = name.encode()
        parts += (_LENGTH.pack(len(data)), data)
    return b"".join(parts)


def decode_request(data: bytes) -> RequestHead:
    """Return the request. Raises `WebFormatError`."""
    try:
        return _decode_request(data)
    except (struct.error, UnicodeDecodeError) as error:
        raise WebFormatError(f"this is no request: {error}") from error


def _decode_request(data: bytes) -> RequestHead:
    flags, *numbers = _REQUEST.unpack_from(data, 0)
    lengths, (headers_size, client_port, server_port, headers_count, protocols_count) = (
        numbers[:11],
        numbers[11:],
    )
    at = _REQUEST.size
    texts = []
    for length in lengths:
        texts.append(data[at : at + length])
        at += length
    headers, end = _decode_headers(data, at, headers_count)
    if end != at + headers_size:
        raise WebFormatError("the headers of a request have another length than it says")
    subprotocols = []
    for _ in range(protocols_count):
        (length,) = _LENGTH.unpack_from(data, end)
        end += 4 + length
        subprotocols.append(data[end - length : end].decode())
    if end != len(data):
        raise WebFormatError(f"a request says {end} bytes where it has {len(data)}")
    method, scheme, version, path, raw_path, query, root, client, server, target, body = texts
    return RequestHead(
        method.decode(),
        scheme.decode(),
        version.decode(),
        path.decode("utf-8", "surrogateescape"),
        raw_path,
        query,
        root.decode("utf-8", "surrogateescape"),
        headers,
        (client.decode(), client_port),
        (server.decode(), server_port),
        flags & _WEBSOCKET != 0,
        tuple(subprotocols),
        body,
        flags & _WHOLE != 0,
        target.decode(),
    )


# --- responses ---


def encode_response(head: ResponseHead, body: bytes) -> bytes:
    """Return the result of an input whose whole response is in it."""
    return _encode_head(head) + body


def decode_response(data: bytes) -> tuple[ResponseHead, bytes] | None:
    """Return the response and its whole body; None where it went through an exchange. Raises `WebFormatError`."""
    if not data:
        return None
    head, at = _decode_head(data, 0)
    return head, data[at:]


def _encode_head(head: ResponseHead) -> bytes:
    return _RESPONSE.pack(head.status, len(head.headers)) + _encode_headers(head.headers)


def _decode_head(data: bytes, at: int) -> tuple[ResponseHead, int]:
    try:
        status, count = _RESPONSE.unpack_from(data, at)
    except struct.error as error:
        raise WebFormatError(f"this is no head of a response: {error}") from error
    if not 200 <= status <= 599:
        raise WebFormatError(f"a response has the status {status}, and not 200 to 599")
    headers, end = _decode_headers(data, at + _RESPONSE.size, count)
    check_headers(headers)
    return ResponseHead(status, headers), end


def check_headers(headers: Headers) -> None:
    """Refuse headers that would not be the same, or be more, for who reads them. Raises `WebFormatError`."""
    for name, value in headers:
        if not name or name.translate(None, _TOKEN):
            raise WebFormatError(f"{name[:100]!r} is no name of a header, in lower case")
        if len(value.translate(None, _NOT_IN_VALUES)) != len(value):
            raise WebFormatError(f"the header {name[:100]!r} has a control character in its value")


def _encode_headers(headers: Headers) -> bytes:
    if len(headers) > MAX_HEADERS:
        raise WebFormatError(f"{len(headers)} headers are more than {MAX_HEADERS}")
    pack = _HEADER.pack
    encoded = b"".join([pack(len(name), len(value)) + name + value for name, value in headers])
    if len(encoded) > MAX_HEAD_BYTES:
        raise WebFormatError(f"headers of {len(encoded)} bytes are more than {MAX_HEAD_BYTES}")
    return encoded


def _decode_headers(data: bytes, at: int, count: int) -> tuple[Headers, int]:
    if count > MAX_HEADERS:
        raise WebFormatError(f"{count} headers are more than {MAX_HEADERS}")
    headers = []
    start = at
    for _ in range(count):
        try:
            name_size, value_size = _HEADER.unpack_from(data, at)
        except struct.error as error:
            raise WebFormatError(f"the headers end before their number: {error}") from error
        middle = at + _HEADER.size + name_size
        end = middle + value_size
        if end > len(data) or end - start > MAX_HEAD_BYTES:
            raise WebFormatError("a header is longer than what holds it, or than may be")
        headers.append((data[at + _HEADER.size : middle], data[middle:end]))
        at = end
    return tuple(headers), at


# --- parts ---


def encode_part(part: Part) -> bytes:
    """Return the one message that is this part."""
    kind = type(part)
    return bytes((_KINDS[kind],)) + _WRITERS[kind](part)


def decode_part(data: bytes, allowed: tuple[type, ...]) -> Part:
    """Return the part, which must be one of the allowed kinds. Raises `WebFormatError`."""
    kind = _BY_NUMBER.get(data[0]) if data else None
    if kind is None or kind not in allowed:
        raise WebFormatError(f"{data[:1]!r} is no kind of part that this side may send")
    try:
        return _READERS[kind](data)
    except (struct.error, UnicodeDecodeError) as error:
        raise WebFormatError(f"a malformed {kind.__name__}: {error}") from error


def _write_piece(part: Body | Text | Binary) -> bytes:
    if len(part.data) > MAX_PART_BYTES:
        raise WebFormatError(f"a part of {len(part.data)} bytes is more than {MAX_PART_BYTES}")
    return (b"\x01" if part.last else b"\x00") + part.data


def _read_piece(kind: type, data: bytes) -> Part:
    if len(data) < 2 or data[1] > 1 or len(data) - 2 > MAX_PART_BYTES:
        raise WebFormatError(f"a malformed {kind.__name__} of {len(data)} bytes")
    made: Part = kind(data[2:], data[1] == 1)
    return made


def _write_accept(part: Accept) -> bytes:
    name = part.subprotocol.encode()
    count = _LENGTH.pack(len(part.headers))
    return _LENGTH.pack(len(name)) + name + count + _encode_headers(part.headers)


def _read_accept(data: bytes) -> Accept:
    (size,) = _LENGTH.unpack_from(data, 1)
    at = 5 + size
    name = data[5:at].decode()
    (count,) = _LENGTH.unpack_from(data, at)
    headers, end = _decode_headers(data, at + 4, count)
    check_headers(headers)
    if end != len(data) or name.encode().lower().translate(None, _TOKEN):
        raise WebFormatError("a malformed Accept")
    return Accept(name, headers)


def _read_whole_head(data: bytes) -> ResponseHead:
    head, end = _decode_head(data, 1)
    if end != len(data):
        raise WebFormatError("a head goes on after its end")
    return head


def _write_open(part: Open) -> bytes:
    return part.input_id.encode()


def _write_close(part: Close) -> bytes:
    return _CODE.pack(part.code) + part.reason.encode()


def _read_close(data: bytes) -> Close:
    return Close(_CODE.unpack_from(data, 1)[0], data[3:].decode())


_KINDS: dict[type, int] = {
    Body: 1, Disconnect: 2, Text: 3, Binary: 4, Close: 5, ResponseHead: 6, Accept: 7, Open: 8,
}  # fmt: skip
_BY_NUMBER = {number: kind for kind, number in _KINDS.items()}

# Each takes its own kind of part, which a table of all of them cannot say.
_WRITERS: dict[type, Callable[[Part], bytes]] = {
    Body: _write_piece,  # type: ignore[dict-item]
    Disconnect: lambda _: b"",
    Text: _write_piece,  # type: ignore[dict-item]
    Binary: _write_piece,  # type: ignore[dict-item]
    Close: _write_close,  # type: ignore[dict-item]
    ResponseHead: _encode_head,  # type: ignore[dict-item]
    Accept: _write_accept,  # type: ignore[dict-item]
    Open: _write_open,  # type: ignore[dict-item]
}
_READERS: dict[type, Callable[[bytes], Part]] = {
    Body: lambda data: _read_piece(Body, data),
    Disconnect: lambda _: Disconnect(),
    Text: lambda data: _read_piece(Text, data),
    Binary: lambda data: _read_piece(Binary, data),
    Close: _read_close,
    ResponseHead: _read_whole_head,
    Accept: _read_accept,
    Open: lambda data: Open(data[1:].decode()),
}
