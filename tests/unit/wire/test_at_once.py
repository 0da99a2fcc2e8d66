"""What the link hands over in the callback that has it: promised replies, and messages past a handler's own task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from offload.wire.gen import calls_pb2, workers_pb2
from offload.wire.limits import STREAM_WINDOW_MESSAGES
from offload.wire.link import Link, ServeOptions, connect, frames, serve
from offload.wire.rpc import Promise
from offload.wire.status import LinkClosedError, Status, WireError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from offload.wire.rpc import RequestContext, Shortcut

TOKEN = "a-token"  # noqa: S105  # of a server that lives for one test
RUN = "offload.v1.Calls/Run"
SESSION = "offload.v1.Workers/Session"


def _run_reply(input_id: str) -> calls_pb2.RunReply:
    return calls_pb2.RunReply(input_id=input_id)


class Desk:
    """Promises every run, and holds sessions whose handler only writes down what it sees."""

    def __init__(self) -> None:
        self.promises: list[Promise[str]] = []
        self.asked = asyncio.Event()
        self.shortcuts: list[Shortcut] = []
        self.take: Callable[[Message], bool] = lambda _: False
        self.seen: list[int] = []
        self.failure: Exception | None = None
        self.is_open = asyncio.Event()
        self.has_seen = asyncio.Event()
        self.handlers = {RUN: self.run, SESSION: self.session}

    def run(self, request: calls_pb2.RunRequest, context: RequestContext) -> Promise[str]:
        if request.is_repeat:
            raise WireError(Status.NOT_FOUND, "never heard of it")
        self.promises.append(Promise(_run_reply))
        self.asked.set()
        return self.promises[-1]

    async def session(
        self, requests: AsyncIterator[workers_pb2.WorkerMessage], context: RequestContext
    ) -> AsyncIterator[workers_pb2.ServerMessage]:
        assert context.shortcut is not None
        self.shortcuts.append(context.shortcut)
        context.shortcut.intercept(self.take)
        yield workers_pb2.ServerMessage(recorded_seq=1)
        self.is_open.set()
        try:
            async for message in requests:
                self.seen.append(message.seq)
                self.has_seen.set()
                if message.draining:
                    yield workers_pb2.ServerMessage(recorded_seq=message.seq)
        except Exception as error:
            self.failure = error
            raise


def play(scenario: Callable[[Desk, Link], Awaitable[None]]) -> None:
    """Run a scenario with a desk and one link to its server."""

    async def main() -> None:
        desk = Desk()
        options = ServeOptions("127.0.0.1", 0, lambda token: token == TOKEN, lambda _: None)
        server = await serve(desk.handlers, options)
        link = await connect(f"ws://127.0.0.1:{server.port}{frames.LINK_PATH}", TOKEN)
        try:
            await asyncio.wait_for(scenario(desk, link), 20)
        finally:
            await link.close()
            await server.close()

    asyncio.run(main())


def _ask(link: Link, *, is_repeat: bool = False) -> asyncio.Task[calls_pb2.RunReply]:
    request = calls_pb2.RunRequest(is_repeat=is_repeat)
    return asyncio.create_task(link.unary(RUN, request, calls_pb2.RunReply))


async def _open_side_door(link: Link) -> None:
    assert link.ask(RUN, b"", lambda _: None) is None  # the first one only has it opened
    with pytest.raises(WireError, match="never heard of it"):
        await _ask(link, is_repeat=True)


def test_whoever_settles_a_promise_has_told_its_listener_when_it_goes_on() -> None:
    told = []
    promise = Promise(_run_reply)
    promise.when_settled(lambda: told.append(promise.reply()))

    promise.settle("in-1-0")

    assert told == [_run_reply("in-1-0")]


def test_a_carrier_with_a_task_may_await_a_promise() -> None:
    async def main() -> Message:
        promise = Promise(_run_reply)
        asyncio.get_running_loop().call_soon(promise.settle, "in-1-0")
        return await promise

    assert asyncio.run(main()) == _run_reply("in-1-0")


def test_promised_replies_reach_their_own_callers_in_any_order() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        first, second = _ask(link), _ask(link)
        while len(desk.promises) < 2:
            desk.asked.clear()
            await desk.asked.wait()

        desk.promises[1].settle("in-2-0")
        desk.promises[0].settle("in-1-0")

        assert (await first).input_id == "in-1-0"
        assert (await second).input_id == "in-2-0"

    play(scenario)


def test_a_handler_that_refuses_instead_of_promising_keeps_its_status_and_words() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        with pytest.raises(WireError, match="never heard of it") as caught:
            await _ask(link, is_repeat=True)

        assert caught.value.status is Status.NOT_FOUND

    play(scenario)


def test_a_promise_that_cannot_be_kept_fails_its_own_request_and_not_whoever_settles_it() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        spoilt, good = _ask(link), _ask(link)
        while len(desk.promises) < 2:
            desk.asked.clear()
            await desk.asked.wait()

        desk.promises[0].settle(object())  # type: ignore[arg-type]  # that is what makes the reply impossible
        desk.promises[1].settle("in-2-0")

        with pytest.raises(WireError) as caught:
            await spoilt
        assert caught.value.status is Status.INTERNAL
        assert (await good).input_id == "in-2-0"

    play(scenario)


def test_a_caller_that_gave_up_is_not_answered() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        waiting = _ask(link)
        await desk.asked.wait()
        waiting.cancel()
        with pytest.raises(WireError, match="never heard of it"):  # the cancellation went before it
            await _ask(link, is_repeat=True)

        desk.promises[0].settle("in-1-0")

        desk.asked.clear()
        later = _ask(link)
        await desk.asked.wait()
        desk.promises[1].settle("in-2-0")
        assert (await later).input_id == "in-2-0"

    play(scenario)


def test_offered_replies_are_sent_in_order_until_the_other_side_has_no_room() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        stream = link.stream(SESSION, workers_pb2.ServerMessage)
        await desk.is_open.wait()
        (shortcut,) = desk.shortcuts

        offers = [
            shortcut.offer(workers_pb2.ServerMessage(recorded_seq=seq))
            for seq in range(2, 2 * STREAM_WINDOW_MESSAGES)
        ]

        sent = offers.count(True)
        assert offers == [True] * sent + [False] * (len(offers) - sent)
        assert sent == STREAM_WINDOW_MESSAGES - 1  # the handler's own reply took one place
        seqs = []
        for _ in range(sent + 1):
            reply = await stream.receive()
            assert reply is not None
            seqs.append(reply.recorded_seq)
        assert seqs == list(range(1, sent + 2))
        stream.cancel()

    play(scenario)


def test_nothing_is_offered_past_a_reply_that_waits() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        stream = link.stream(SESSION, workers_pb2.ServerMessage)
        await desk.is_open.wait()
        (shortcut,) = desk.shortcuts
        while shortcut.offer(workers_pb2.ServerMessage()):
            pass
        await stream.send(workers_pb2.WorkerMessage(seq=77, draining=True))
        await desk.has_seen.wait()

        is_sent = shortcut.offer(workers_pb2.ServerMessage(recorded_seq=78))

        assert not is_sent
        stream.cancel()

    play(scenario)


def test_what_is_taken_on_the_way_the_handler_does_not_see_and_what_is_refused_it_does() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        taken: list[int] = []

        def take(message: Message) -> bool:
            assert isinstance(message, workers_pb2.WorkerMessage)
            if message.seq % 2:
                taken.append(message.seq)
            return message.seq % 2 == 1

        desk.take = take
        stream = link.stream(SESSION, workers_pb2.ServerMessage)
        await desk.is_open.wait()

        for seq in range(1, 4 * STREAM_WINDOW_MESSAGES):
            await stream.send(workers_pb2.WorkerMessage(seq=seq))
        await stream.end()
        async for _ in stream:
            pass

        assert sorted(desk.seen + taken) == list(range(1, 4 * STREAM_WINDOW_MESSAGES))
        assert desk.seen == sorted(desk.seen)
        assert taken

    play(scenario)


def test_what_a_taker_raises_the_handler_gets() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        def take(message: Message) -> bool:
            raise WireError(Status.INVALID_ARGUMENT, "nonsense")

        desk.take = take
        stream = link.stream(SESSION, workers_pb2.ServerMessage)
        await desk.is_open.wait()
        await stream.receive()

        await stream.send(workers_pb2.WorkerMessage(seq=1))

        with pytest.raises(WireError, match="nonsense"):
            await stream.receive()
        assert isinstance(desk.failure, WireError)

    play(scenario)


def test_an_answer_comes_after_what_a_stream_brought_before_it() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        seen: list[object] = []
        stream = link.stream(SESSION, workers_pb2.ServerMessage)

        async def read() -> None:
            while (message := await stream.receive()) is not None:
                seen.append(message.recorded_seq)

        reading = asyncio.create_task(read())
        await desk.is_open.wait()
        await _open_side_door(link)
        answered = asyncio.Event()

        def tell(answer: bytes | WireError) -> None:
            seen.append(answer)
            answered.set()

        link.ask(RUN, b"", tell)
        await desk.asked.wait()

        desk.shortcuts[0].offer(workers_pb2.ServerMessage(recorded_seq=2))
        desk.promises[0].settle("in-1-0")

        await answered.wait()
        assert seen == [1, 2, _run_reply("in-1-0").SerializeToString()]
        stream.cancel()
        with pytest.raises(WireError):
            await reading

    play(scenario)


def test_who_asks_is_told_of_a_refusal_and_of_a_lost_connection() -> None:
    async def scenario(desk: Desk, link: Link) -> None:
        await _open_side_door(link)
        told: list[bytes | WireError] = []
        refused = asyncio.Event()

        def tell(answer: bytes | WireError) -> None:
            told.append(answer)
            refused.set()

        link.ask(RUN, calls_pb2.RunRequest(is_repeat=True).SerializeToString(), tell)
        link.ask(RUN, b"", tell)
        await refused.wait()

        await link.close()

        refusal, loss = told
        assert isinstance(refusal, WireError)
        assert refusal.status is Status.NOT_FOUND
        assert isinstance(loss, LinkClosedError)
        assert not link.takes_frames

    play(scenario)
