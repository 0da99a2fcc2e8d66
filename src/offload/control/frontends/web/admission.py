"""Who may ask an endpoint: with nothing, the server's token, or a pair of a key and its secret; and from which sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.control.frontends.web.heads import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.control.frontends.web.heads import Head
    from offload.wire.gen import endpoints_pb2
    from offload.wire.guest.web import Headers

KEY_HEADERS = (b"offload-key", b"offload-secret")


@dataclass(frozen=True, slots=True)
class Admission:
    """How the server checks who asks."""

    check_token: Callable[[str], bool]
    check_key: Callable[[str, str, str], bool]  # workspace, key, secret
    default: str = "public"

    def admit(self, web: endpoints_pb2.WebEndpoint, workspace: str, head: Head) -> None:
        """Raise `BadRequestError` for who may not."""
        auth = web.auth or self.default
        if auth == "public":
            return
        if auth == "token":
            if not self._has_token(head):
                raise BadRequestError(
                    401,
                    "This endpoint wants the server's token: send it as `Authorization: Bearer …`.",
                    ((b"www-authenticate", b'Bearer realm="offload"'),),
                )
            return
        key, secret = (head.first(name).decode("latin-1") for name in KEY_HEADERS)
        if not (key and secret and self.check_key(workspace, key, secret)):
            raise BadRequestError(
                401,
                "This endpoint wants a key: send `Offload-Key` and `Offload-Secret`, as made by `offload web-key create`.",
                ((b"www-authenticate", b'Offload-Key realm="offload"'),),
            )

    def passed_on(self, head: Head, headers: Headers) -> Headers:
        """Return the headers without what opens doors: no container is told the server's token or a secret."""
        hidden = set(KEY_HEADERS)
        if self._has_token(head):
            hidden.add(b"authorization")
        return tuple(pair for pair in headers if pair[0] not in hidden)

    def _has_token(self, head: Head) -> bool:
        scheme, _, token = head.first(b"authorization").decode("latin-1").partition(" ")
        return scheme.lower() == "bearer" and self.check_token(token.strip())


def cors_headers(web: endpoints_pb2.WebEndpoint, head: Head) -> Headers:
    """Return what a browser must see to show a page of another site the response; nothing where it must not."""
    origin = head.first(b"origin")
    if not web.HasField("cors"):
        return ()
    allowed = _allowed_origin(web.cors, origin)
    if not allowed:
        return ((b"vary", b"Origin"),)
    headers = [(b"access-control-allow-origin", allowed)]
    if allowed != b"*":
        headers.append((b"vary", b"Origin"))
    if web.cors.with_credentials:
        headers.append((b"access-control-allow-credentials", b"true"))
    return tuple(headers)


def preflight(web: endpoints_pb2.WebEndpoint, head: Head) -> Headers | None:
    """Return the answer to a browser that asks whether it may ask; None where the request is no such question."""
    wanted = head.first(b"access-control-request-method")
    if not (web.HasField("cors") and head.method == "OPTIONS" and wanted):
        return None
    headers = list(cors_headers(web, head))
    if not _allowed_origin(web.cors, head.first(b"origin")):
        return tuple(headers)
    methods = ", ".join(web.cors.methods or web.methods).encode() or wanted
    headers.append((b"access-control-allow-methods", methods))
    asked = ", ".join(web.cors.headers).encode() or head.first(b"access-control-request-headers")
    if asked:
        headers.append((b"access-control-allow-headers", asked))
    if web.cors.max_age_seconds:
        headers.append((b"access-control-max-age", b"%d" % web.cors.max_age_seconds))
    return tuple(headers)


def _allowed_origin(cors: endpoints_pb2.CrossOrigin, origin: bytes) -> bytes:
    if not origin:
        return b""
    if "*" in cors.origins:
        return origin if cors.with_credentials else b"*"
    return origin if origin.decode("latin-1") in cors.origins else b""
