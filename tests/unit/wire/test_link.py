"""The link: requests, streams, refusals and broken peers, over a real loopback socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picows import WSListener, WSMsgType, ws_connect
from picows.common import WSInvalidStatusError

from offload.wire.gen import blobs_pb2, calls_pb2, cluster_pb2
from offload.wire.limits import STREAM_WINDOW_MESSAGES
from offload.wire.link import HttpAnswer, Link, LinkServer, ServeOptions, connect, frames, serve
from offload.wire.status import LinkClosedError, Status, WireError
from offload.wire.version import PROTOCOL_VERSION

if TYPE_CHECKING:
    from offload.wire.rpc import RequestContext

TOKEN = "a-token"  # noqa: S105  # of a server that lives for one test


class Desk:
    """A scripted set of handlers that remembers what was asked of it."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()
        self.sent = 0
        self.is_leaving = asyncio.Event()
        self.has_left = False
        self.handlers = {
            "offload.v1.Calls/Run": self.run,
            "offload.v1.Calls/Describe": self.refuse,
            "offload.v1.Calls/Cancel": self.crash,
            "offload.v1.Calls/ListCalls": self.hang,
            "offload.v1.Blobs/Upload": self.upload,
            "offload.v1.Blobs/Download": self.download,
        }

    async def run(
        self, request: calls_pb2.RunRequest, context: RequestContext
    ) -> calls_pb2.RunReply:
        return calls_pb2.RunReply(input_id=f"{request.call_id} over {context.carrier}")

    async def refuse(self, request: calls_pb2.DescribeRequest, context: RequestContext) -> None:
        raise WireError(Status.NOT_FOUND, f"there is no call {request.call_id}")

    async def crash(self, request: calls_pb2.CancelRequest, context: RequestContext) -> None:
        raise ZeroDivisionError("a secret of the server")

    async def hang(self, request: calls_pb2.ListCallsRequest, context: RequestContext) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def upload(
        self, requests: AsyncIterator[blobs_pb2.UploadChunk], context: RequestContext
    ) -> blobs_pb2.UploadReply:
        size = 0
        async for chunk in requests:
            size += len(chunk.data)
        return blobs_pb2.UploadReply(blob={"size_bytes": size})

    async def download(
        self, request: blobs_pb2.DownloadRequest, context: RequestContext
    ) -> AsyncIterator[blobs_pb2.DownloadChunk]:
        try:
            for number in range(request.offset):
                self.sent = number + 1
                yield blobs_pb2.DownloadChunk(data=str(number).encode())
        finally:
            self.is_leaving.set()
            for _ in range(10):  # turns of the loop
                await asyncio.sleep(0)
            self.has_left = True


Scenario = Callable[[Desk, LinkServer, Link], Awaitable[None]]


def play(scenario: Scenario) -> None:
    """Run a scenario with a desk, its server and one link to it."""

    async def main() -> None:
        desk = Desk()
        server = await serve(desk.handlers, options())
        link = await connect(url(server), TOKEN)
        try:
            await asyncio.wait_for(scenario(desk, server, link), 20)
        finally:
            await link.close()
            await server.close()

    asyncio.run(main())


def options() -> ServeOptions:
    answers = {"/live": HttpAnswer(200, "text/plain", b"alive")}
    return ServeOptions("127.0.0.1", 0, lambda token: token == TOKEN, answers.get)


def url(server: LinkServer) -> str:
    return f"ws://127.0.0.1:{server.port}{frames.LINK_PATH}"


def test_a_request_gets_its_reply() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        request = calls_pb2.RunRequest(call_id="fc-1")

        reply = await link.unary("offload.v1.Calls/Run", request, calls_pb2.RunReply)

        assert reply.input_id == "fc-1 over link"

    play(scenario)


def test_a_refusal_keeps_its_status_and_words() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        request = calls_pb2.DescribeRequest(call_id="fc-ü")

        with pytest.raises(WireError, match="there is no call fc-ü") as caught:
            await link.unary("offload.v1.Calls/Describe", request, calls_pb2.CallDescription)

        assert caught.value.status is Status.NOT_FOUND

    play(scenario)


def test_a_bug_in_a_handler_tells_the_caller_nothing_of_the_server() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        request = calls_pb2.CancelRequest()

        with pytest.raises(WireError) as caught:
            await link.unary("offload.v1.Calls/Cancel", request, calls_pb2.CancelReply)

        assert caught.value.status is Status.INTERNAL
        assert "secret" not in caught.value.message

    play(scenario)


def test_an_unknown_method_is_named() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        with pytest.raises(WireError, match="Calls/Nope") as caught:
            await link.unary("offload.v1.Calls/Nope", calls_pb2.RunRequest(), calls_pb2.RunReply)

        assert caught.value.status is Status.UNIMPLEMENTED

    play(scenario)


def test_more_messages_than_the_window_arrive_in_order_both_ways() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        count = STREAM_WINDOW_MESSAGES * 5

        upload = link.stream("offload.v1.Blobs/Upload", blobs_pb2.UploadReply)
        for _ in range(count):
            await upload.send(blobs_pb2.UploadChunk(data=b"xy"))
        await upload.end()
        total = await upload.receive()
        download = link.stream("offload.v1.Blobs/Download", blobs_pb2.DownloadChunk)
        await download.send(blobs_pb2.DownloadRequest(offset=count))
        received = [chunk.data async for chunk in download]

        assert total is not None
        assert total.blob.size_bytes == 2 * count
        assert received == [str(number).encode() for number in range(count)]

    play(scenario)


async def _stop_reading(link: Link) -> None:
    slow = link.stream("offload.v1.Blobs/Download", blobs_pb2.DownloadChunk)
    await slow.send(blobs_pb2.DownloadRequest(offset=100_000))
    await slow.receive()
    # A later request on the same connection is answered: everything the sender could send has been sent.
    await link.unary("offload.v1.Calls/Run", calls_pb2.RunRequest(), calls_pb2.RunReply)


def test_a_reader_that_stops_reading_stops_the_sender() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        await _stop_reading(link)

        assert desk.sent <= STREAM_WINDOW_MESSAGES + 1

    play(scenario)


def test_cancelling_a_request_cancels_its_handler() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        request = calls_pb2.ListCallsRequest()
        waiting = asyncio.create_task(
            link.unary("offload.v1.Calls/ListCalls", request, calls_pb2.ListCallsReply)
        )
        await desk.started.wait()

        waiting.cancel()

        await desk.cancelled.wait()

    play(scenario)


def test_a_lost_connection_fails_what_waits_and_cancels_the_handlers() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        request = calls_pb2.ListCallsRequest()
        waiting = asyncio.create_task(
            link.unary("offload.v1.Calls/ListCalls", request, calls_pb2.ListCallsReply)
        )
        await desk.started.wait()

        await server.close()

        with pytest.raises(LinkClosedError):
            await waiting
        await desk.cancelled.wait()
        with pytest.raises(LinkClosedError):
            await link.unary("offload.v1.Calls/Run", calls_pb2.RunRequest(), calls_pb2.RunReply)

    play(scenario)


def test_a_server_is_closed_once_its_handlers_have_let_go_of_what_they_hold() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        await _stop_reading(link)

        await server.close()

        assert desk.has_left

    play(scenario)


def test_a_server_is_closed_once_the_handlers_of_callers_who_went_just_before_have_ended() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        await _stop_reading(link)
        await link.close()
        await desk.is_leaving.wait()

        await server.close()

        assert desk.has_left

    play(scenario)


def test_a_wrong_token_is_refused_with_where_to_find_the_right_one() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        with pytest.raises(WireError, match="file `token`") as caught:
            await connect(url(server), "wrong")

        assert caught.value.status is Status.UNAUTHENTICATED

    play(scenario)


def test_another_protocol_version_is_refused_with_both_versions() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", frames.PROTOCOL_HEADER: "99"}

        with pytest.raises(WSInvalidStatusError) as caught:
            await ws_connect(lambda: Stranger(b""), url(server), extra_headers=headers)

        words = (caught.value.raw_body or b"").decode()
        assert f"version {PROTOCOL_VERSION} and you version 99" in words

    play(scenario)


def test_nobody_listening_is_told_with_the_address() -> None:
    async def main() -> None:
        with pytest.raises(LinkClosedError, match="ws://127"):
            await connect("ws://127.0.0.1:1/link", TOKEN)

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"", b"\x15\x03\x03\x00\x02\x02\x50"])
def test_a_peer_that_hangs_up_before_the_handshake_is_an_error_and_no_link(answer: bytes) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def scenario() -> str:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as peer:
            port = peer.sockets[0].getsockname()[1]
            with pytest.raises(LinkClosedError) as refusal:
                await connect(f"ws://127.0.0.1:{port}/link", TOKEN)
            return refusal.value.message

    assert "https://" in asyncio.run(scenario())


def test_plain_http_is_answered_on_the_same_port() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        writer.write(b"GET /live HTTP/1.1\r\nHost: here\r\n\r\n")
        answer = await reader.read()
        writer.close()

        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"alive")

    play(scenario)


class Stranger(WSListener):
    """A peer that sends one frame of its own making and waits to be thrown out."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.gone = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: object) -> None:
        transport.send(WSMsgType.BINARY, self.frame)  # type: ignore[attr-defined]

    def on_ws_disconnected(self, transport: object) -> None:
        self.gone.set_result(None)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x01",
        struct.pack("<BI", frames.Kind.REQUEST, 1),
        struct.pack("<BI", frames.Kind.REQUEST, 1) + b"\xffshort",
        struct.pack("<BI", frames.Kind.OPEN, 1) + b"\x02\xff\xfe",
    ],
)
def test_a_peer_that_speaks_something_else_is_disconnected_alone(frame: bytes) -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        stranger = Stranger(frame)
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            frames.PROTOCOL_HEADER: str(PROTOCOL_VERSION),
        }

        await ws_connect(lambda: stranger, url(server), extra_headers=headers)

        await stranger.gone
        await link.unary("offload.v1.Calls/Run", calls_pb2.RunRequest(), calls_pb2.RunReply)

    play(scenario)


def test_a_message_that_does_not_parse_fails_its_own_request_only() -> None:
    async def scenario(desk: Desk, server: LinkServer, link: Link) -> None:
        # Field 1 of CancelRequest is text; this says it is a message of 100 bytes and gives none.
        nonsense = cluster_pb2.StatusRequest()
        nonsense.MergeFromString(b"\x12\x02\xff\xff")

        with pytest.raises(WireError) as caught:
            await link.unary("offload.v1.Calls/Cancel", nonsense, calls_pb2.CancelReply)

        assert caught.value.status is Status.INVALID_ARGUMENT
        await link.unary("offload.v1.Calls/Run", calls_pb2.RunRequest(), calls_pb2.RunReply)

    play(scenario)


@given(st.binary(max_size=64))
def test_any_bytes_parse_or_are_refused_as_a_frame(data: bytes) -> None:
    for parse in (frames.parse, frames.parse_method, frames.parse_error, frames.parse_credit):
        try:
            parse(data)
        except frames.FrameError:
            continue


def test_a_refusal_without_words_is_explained_all_the_same() -> None:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]

            with pytest.raises(WireError, match="speaks another protocol") as refused:
                await connect(f"ws://127.0.0.1:{port}/link", "token")

            assert refused.value.status is Status.FAILED_PRECONDITION

    asyncio.run(main())
