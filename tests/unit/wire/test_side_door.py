"""Frames sent from threads that are not the loop's."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import pytest

from offload.wire.gen import calls_pb2
from offload.wire.link import Link, ServeOptions, connect, frames, serve
from offload.wire.link.side_door import MAX_MESSAGE_BYTES, SideDoor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picows import WSTransport

    from offload.wire.rpc import RequestContext
    from offload.wire.status import WireError

TOKEN = "a-token"  # noqa: S105  # of a server that lives for one test
RUN = "offload.v1.Calls/Run"


async def _echo(request: calls_pb2.RunRequest, context: RequestContext) -> calls_pb2.RunReply:
    return calls_pb2.RunReply(input_id=request.call_id)


def _play(scenario: Callable[[Link], Awaitable[None]]) -> None:
    async def main() -> None:
        options = ServeOptions("127.0.0.1", 0, lambda token: token == TOKEN, lambda _: None)
        server = await serve({RUN: _echo}, options)
        link = await connect(f"ws://127.0.0.1:{server.port}{frames.LINK_PATH}", TOKEN)
        try:
            assert (
                link.ask(RUN, b"", lambda _: None) is None
            )  # the first one only has the door opened
            await link.unary(RUN, calls_pb2.RunRequest(), calls_pb2.RunReply)
            await asyncio.wait_for(scenario(link), 30)
        finally:
            await link.close()
            await server.close()

    asyncio.run(main())


def _run(call_id: str) -> bytes:
    return calls_pb2.RunRequest(call_id=call_id).SerializeToString()


def _ask_and_wait(link: Link, call_id: str) -> str:
    answers: list[bytes | WireError] = []
    answered = threading.Event()

    def tell(answer: bytes | WireError) -> None:
        answers.append(answer)
        answered.set()

    while link.ask(RUN, _run(call_id), tell) is None:
        pass  # the transport has something left to send: not for long
    assert answered.wait(20)
    assert isinstance(answers[0], bytes)
    return calls_pb2.RunReply.FromString(answers[0]).input_id


def test_frames_of_many_threads_and_of_the_loop_keep_out_of_each_others_way() -> None:
    async def scenario(link: Link) -> None:
        loop = asyncio.get_running_loop()
        lengths = [1, 100, 125, 126, 127, 1_000, 5_000]

        def ask_often(thread: int) -> bool:
            calls = [f"fc-{thread}-" + "x" * size for size in lengths * 20]
            return all(_ask_and_wait(link, call_id) == call_id for call_id in calls)

        with ThreadPoolExecutor(4) as threads:
            asking = [loop.run_in_executor(threads, ask_often, thread) for thread in range(4)]
            for number in range(100):
                request = calls_pb2.RunRequest(call_id=f"fc-loop-{number}")
                reply = await link.unary(RUN, request, calls_pb2.RunReply)
                assert reply.input_id == f"fc-loop-{number}"

            assert all(await asyncio.gather(*asking))

    _play(scenario)


def test_what_is_long_goes_through_the_loop() -> None:
    async def scenario(link: Link) -> None:
        number = link.ask(RUN, b"x" * (MAX_MESSAGE_BYTES + 1), lambda _: None)

        assert number is None

    _play(scenario)


def test_a_closed_connection_has_no_side_door() -> None:
    async def scenario(link: Link) -> None:
        await link.close()

        number = link.ask(RUN, _run("fc-1"), lambda _: None)

        assert number is None

    _play(scenario)


class _Transport:
    """As much of a transport as a side door looks at."""

    def __init__(self, sock: socket.socket) -> None:
        self.underlying_transport = self
        self.socket = sock
        self.left_bytes = 0

    def get_extra_info(self, name: str) -> socket.socket:
        return self.socket

    def get_write_buffer_size(self) -> int:
        return self.left_bytes


def test_a_door_is_free_while_the_transport_has_nothing_left_to_send() -> None:
    near, far = socket.socketpair()
    transport = _Transport(near)
    door = SideDoor(cast("WSTransport", transport))
    was_free = door.is_free
    transport.left_bytes = 1

    door.look()

    assert was_free
    assert not door.is_free
    for each in (door, near, far):
        each.close()


def test_a_frame_of_which_a_part_went_out_is_the_end_of_its_connection() -> None:
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    door = SideDoor(cast("WSTransport", _Transport(near)))

    with pytest.raises(BrokenPipeError):
        door.send(b"x" * MAX_MESSAGE_BYTES)

    for each in (door, near, far):
        each.close()


def test_nothing_is_sent_where_the_peer_is_gone() -> None:
    near, far = socket.socketpair()
    door = SideDoor(cast("WSTransport", _Transport(near)))
    far.close()

    is_sent = door.send(b"x")

    assert not is_sent
    door.close()
    near.close()
