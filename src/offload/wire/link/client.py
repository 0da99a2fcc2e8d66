"""The dialling side of a link."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.common import WSError, WSInvalidStatusError

from offload.wire.link import frames
from offload.wire.link.flow import Gate
from offload.wire.link.frames import Kind
from offload.wire.link.requests import Asked, Stream, Unary
from offload.wire.link.side_door import MAX_MESSAGE_BYTES, SideDoor
from offload.wire.status import LinkClosedError, Status, UntrustedServerError, WireError
from offload.wire.version import PROTOCOL_VERSION

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

M = TypeVar("M", bound=Message)
T = TypeVar("T")

# What a server's refusal of the upgrade means; anything else is a server that is not ours or not well.
_REFUSALS = {401: Status.UNAUTHENTICATED, 426: Status.FAILED_PRECONDITION}
_UNEXPLAINED = {
    401: "the server at {url} does not accept this token",
    426: f"the server at {{url}} speaks another protocol than this program (version {PROTOCOL_VERSION}): "
    "install the same version of offload on both sides",
}

# OpenSSL's own word; the class of the exception would cost an import of `ssl` where no TLS is used.
_UNVERIFIED = "CERTIFICATE_VERIFY_FAILED"


class Link(WSListener):
    """One authenticated connection to a server, for any number of requests at once. Not thread-safe, but for `ask`."""

    def __init__(self) -> None:
        self._transport: WSTransport | None = None
        self._requests: dict[int, Unary[Message] | Asked | Stream[Message]] = {}
        self._numbers = itertools.count(1)
        self._do_readers_go_first = False
        self._side_door: SideDoor | None = None
        self._sending = threading.Lock()
        self._gate = Gate()
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone."""
        return self._closed.done()

    @property
    def takes_frames(self) -> bool:
        """Whether a frame can be sent now, without waiting."""
        return self._gate.is_open and not self._closed.done()

    @property
    def was_connected(self) -> bool:
        """Whether the server has ever taken the connection."""
        return self._transport is not None

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        await asyncio.shield(self._closed)

    async def close(self) -> None:
        """Close the connection; requests under way fail with `LinkClosedError`. Idempotent."""
        if self._transport is not None and not self.is_closed:
            self._transport.send_close()
            self._transport.disconnect()
            await self.wait_closed()

    async def unary(self, method: str, request: Message, reply: type[M]) -> M:
        """Send one request and return its reply. Raises `WireError`; cancelling tells the server."""
        number = next(self._numbers)
        pending = Unary(reply, self._loop)
        self._requests[number] = pending  # type: ignore[assignment]  # the reply's type is the caller's
        try:
            await self.send(
                frames.pack_method(Kind.REQUEST, number, method, request.SerializeToString())
            )
            return await pending.future
        except asyncio.CancelledError:
            self.forget(number, tell=True)
            raise
        finally:
            self._requests.pop(number, None)

    def ask(
        self, method: str, request: bytes, tell: Callable[[bytes | WireError], None]
    ) -> int | None:
        """Send one encoded request, from any thread; None where it cannot be sent from here now.

        `tell` is called on the loop with the encoded reply or with why there is none. Returns the request's number,
        by which `forget` gives it up.
        """
        number = next(self._numbers)
        frame = frames.pack_method(Kind.REQUEST, number, method, request)
        with self._sending:
            door = self._side_door
            if door is None:
                self._loop.call_soon_threadsafe(self._open_side_door)
            if door is None or not door.is_free or len(frame) > MAX_MESSAGE_BYTES:
                return None
            self._requests[number] = Asked(self, number, tell)
            try:
                is_sent = door.send(frame)
            except BrokenPipeError:
                self._loop.call_soon_threadsafe(self._give_up)
                return number  # it fails with the connection
            if not is_sent:
                del self._requests[number]
            return number if is_sent else None

    def _open_side_door(self) -> None:
        transport = self._transport
        is_possible = transport is not None and not transport.is_secure and not self.is_closed
        if transport is not None and is_possible and self._side_door is None:
            self._side_door = SideDoor(transport)

    def _give_up(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def answer(self, tell: Callable[[T], None], answer: T) -> None:
        """Call `tell`, after the readers of what came on streams before, where they have not had their turn."""
        if self._do_readers_go_first:
            self._loop.call_soon(tell, answer)
        else:
            tell(answer)

    def let_readers_go_first(self) -> None:
        """Let the reader of a stream, which has just been woken, come before any answer."""
        if not self._do_readers_go_first:
            self._do_readers_go_first = True
            self._loop.call_soon(self._readers_have_gone)

    def _readers_have_gone(self) -> None:
        self._do_readers_go_first = False

    def stream(self, method: str, reply: type[M]) -> Stream[M]:
        """Open a request whose messages stream in either direction."""
        number = next(self._numbers)
        stream = Stream(self, number, reply)
        if self.is_closed:
            stream.fail(LinkClosedError("the connection to the server is closed"))
        else:
            self._requests[number] = stream  # type: ignore[assignment]  # the reply's type is the caller's
            self.post(frames.pack_method(Kind.OPEN, number, method))
        return stream

    async def send(self, frame: bytes) -> None:
        """Send one frame of one of this link's requests; wait while the connection is congested."""
        if not self._gate.is_open:
            await self._gate.wait()
        if self.is_closed:
            raise LinkClosedError("the connection to the server is closed")
        self.post(frame)

    def post(self, frame: bytes) -> None:
        """Send one small frame without waiting; a closed connection swallows it."""
        if self._transport is not None and not self.is_closed:
            with self._sending:
                self._transport.send(WSMsgType.BINARY, frame)
                if self._side_door is not None:
                    self._side_door.look()

    def forget(self, number: int, *, tell: bool = False) -> None:
        """Drop a request whose reply nobody waits for any more; with `tell`, say so to the server."""
        if self._requests.pop(number, None) is not None and tell:
            self.post(frames.pack(Kind.CANCEL, number))

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Take note (picows calls this)."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Handle a message (picows calls this)."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        if frame.msg_type != WSMsgType.BINARY:
            return
        data = frame.get_payload_as_bytes()
        if self._side_door is not None and not self._side_door.is_free:
            self._side_door.look()
        try:
            kind, number = frames.parse(data)
            request = self._requests.get(number)
            if request is not None:
                request.take(kind, data)
        except (frames.FrameError, DecodeError) as error:
            self._fail_all(
                WireError(Status.DATA_LOSS, f"the server sent what cannot be read: {error}")
            )
            transport.disconnect(graceful=False)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002  # picows' signature
        """Take note (picows calls this)."""
        if not self._closed.done():
            self._closed.set_result(None)
        self._gate.open()
        with self._sending:
            if self._side_door is not None:
                self._side_door.close()
                self._side_door = None
        self._fail_all(LinkClosedError("the connection to the server broke"))

    def pause_writing(self) -> None:
        """Take note (picows calls this)."""
        self._gate.close()

    def resume_writing(self) -> None:
        """Take note (picows calls this)."""
        self._gate.open()

    def _fail_all(self, error: WireError) -> None:
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.fail(error)


async def connect(
    url: str, token: str, *, tls: ssl.SSLContext | None = None, timeout_seconds: float = 5.0
) -> Link:
    """Dial the server at `url` ("ws://host:port/link", or "wss://…").

    Raises `LinkClosedError` where nothing answers, its `UntrustedServerError` where the certificate of what answers does
    not verify, and `WireError` where the server refuses: UNAUTHENTICATED for a wrong token, FAILED_PRECONDITION for
    another protocol version.
    """
    headers = {"Authorization": f"Bearer {token}", frames.PROTOCOL_HEADER: str(PROTOCOL_VERSION)}
    try:
        async with asyncio.timeout(timeout_seconds):
            link = Link()
            await ws_connect(
                lambda: link,
                url,
                ssl_context=tls,
                extra_headers=headers,
                max_frame_size=frames.MAX_FRAME_BYTES,
                websocket_handshake_timeout=timeout_seconds,
                enable_auto_ping=True,
                auto_ping_idle_timeout=frames.PING_SECONDS,
                auto_ping_reply_timeout=frames.PING_SECONDS,
            )
    except WSInvalidStatusError as error:
        raise _refusal(error, url) from error
    except (OSError, TimeoutError, WSError) as error:
        why = str(error) or "no answer in time"
        kind = UntrustedServerError if _UNVERIFIED in why else LinkClosedError
        raise kind(f"cannot connect to the server at {url}: {why}{_advice(why)}") from error
    if not link.was_connected:
        # picows takes a connection that ends before its handshake for a finished handshake.
        raise LinkClosedError(
            f"cannot connect to the server at {url}: it hung up at once; where it uses TLS, its address begins with https://"
        )
    return link


def _advice(why: str) -> str:
    if _UNVERIFIED in why and "mismatch" in why:
        return "; dial it by a name that is in its certificate"
    if _UNVERIFIED in why and "expired" in why:
        return "; let the server have a new certificate"
    if _UNVERIFIED in why:
        return "; name the authority that signed its certificate (OFFLOAD_TLS_CA, or --tls-ca of a worker)"
    if "WRONG_VERSION_NUMBER" in why:
        return "; where it does not use TLS, its address begins with http://"
    return ""


def _refusal(error: WSInvalidStatusError, url: str) -> WireError:
    status = int(error.response.status) if error.response is not None else 0
    if status in _REFUSALS:
        # What comes after the head may be late, behind a proxy for one, and is not waited for.
        said = (error.raw_body or b"").decode(errors="replace").strip()
        return WireError(_REFUSALS[status], said or _UNEXPLAINED[status].format(url=url))
    return LinkClosedError(f"what answers at {url} is not an offload server (HTTP {status})")
