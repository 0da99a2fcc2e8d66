"""What stands before bodies: requests checked beyond what their parser checks, and responses as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.wire.guest.web import Headers

# Of one connection alone (RFC 9110, 7.6.1), beside those that a `Connection` header names.
HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_WITHOUT_BODY = frozenset({204, 304})


class BadRequestError(Exception):
    """A request that gets an answer other than its endpoint's."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Head:
    """How a request begins. Names of headers are in lower case."""

    method: str
    target: bytes  # as it came
    version: str
    headers: list[tuple[bytes, bytes]]

    def first(self, name: bytes) -> bytes:
        """Return the first header of that name; empty where there is none."""
        return next((value for key, value in self.headers if key == name), b"")

    @property
    def options(self) -> set[bytes]:
        """What its `Connection` headers list."""
        return connection_options(self.headers)

    @property
    def is_websocket(self) -> bool:
        """Whether it asks for a WebSocket."""
        return (
            self.method == "GET"
            and self.first(b"upgrade").lower() == b"websocket"
            and b"upgrade" in self.options
        )


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    host: str  # in lower case, without the port
    path: str  # decoded
    raw_path: bytes
    query: bytes


def connection_options(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Return what the `Connection` headers among these list."""
    return {
        option.strip().lower()
        for key, value in headers
        if key == b"connection"
        for option in value.split(b",")
    }


def check(head: Head) -> Target:
    """Refuse what the parser lets pass and others could read differently; return where it goes."""
    if head.version not in ("1.0", "1.1"):
        raise BadRequestError(505, f"HTTP/{head.version} is not spoken here: use HTTP/1.1.")
    if not head.method or not _TOKEN.issuperset(head.method.encode()):
        raise BadRequestError(400, "The request has no valid method.")
    if head.method == "CONNECT":
        raise BadRequestError(405, "This is no proxy: CONNECT is refused.", ((b"allow", b"GET"),))
    names = [key for key, _ in head.headers]
    hosts = names.count(b"host")
    if hosts > 1 or (not hosts and head.version == "1.1"):
        raise BadRequestError(400, "A request needs exactly one Host header.")
    if b"transfer-encoding" in names:
        if head.version == "1.0":
            raise BadRequestError(400, "HTTP/1.0 has no Transfer-Encoding.")
        if head.first(b"transfer-encoding").lower() != b"chunked":
            raise BadRequestError(501, "The only Transfer-Encoding known here is `chunked`.")
    if b"upgrade" in names and not head.is_websocket and _has_body(head):
        raise BadRequestError(400, "A request with a body cannot ask for an upgrade here.")
    expected = head.first(b"expect").lower()
    if expected not in (b"", b"100-continue"):
        raise BadRequestError(417, f"{expected[:100]!r} cannot be expected here.")
    return _target(head)


def _has_body(head: Head) -> bool:
    return bool(head.first(b"transfer-encoding")) or head.first(b"content-length") not in (
        b"",
        b"0",
    )


def _target(head: Head) -> Target:
    target, host = head.target, head.first(b"host").decode("latin-1")
    if not target.startswith(b"/"):
        if target == b"*" and head.method == "OPTIONS":
            target = b"/*"
        else:
            try:
                parts = urlsplit(target.decode("ascii"))
            except (UnicodeDecodeError, ValueError) as error:
                raise BadRequestError(400, "The request's address cannot be read.") from error
            if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
                raise BadRequestError(400, "The request's address is neither a path nor a URL.")
            host = parts.netloc.rpartition("@")[2]
            query = f"?{parts.query}" if parts.query else ""
            target = ((parts.path or "/") + query).encode()
    if any(character in host for character in "/@\\ \t,"):
        raise BadRequestError(400, "The Host header is no name of a host.")
    raw_path, _, query_bytes = target.partition(b"?")
    name = host if host.startswith("[") else host.partition(":")[0]
    path = unquote_to_bytes(raw_path).decode("utf-8", "surrogateescape")
    return Target(name.lower().rstrip("."), path, raw_path, query_bytes)


def passed_on(headers: Iterable[tuple[bytes, bytes]], options: Iterable[bytes] = ()) -> Headers:
    """Return the headers that are not of one connection alone; `options` are those that `Connection` names."""
    dropped = HOP_BY_HOP.union(options)
    return tuple(pair for pair in headers if pair[0] not in dropped)


def has_body(method: str, status: int) -> bool:
    """Whether the response to such a request may have a body."""
    return method != "HEAD" and status not in _WITHOUT_BODY


def encode(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the head of a response."""
    line = _LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()
    return b"".join((line, *(b"%b: %b\r\n" % pair for pair in headers), b"\r\n"))


def problem(error: BadRequestError) -> tuple[Headers, bytes]:
    """Return headers and body of the answer that says what is wrong."""
    phrase = HTTPStatus(error.status).phrase
    body = json.dumps({"error": phrase, "message": error.message}).encode() + b"\n"
    return ((b"content-type", b"application/json"), *error.headers), body
