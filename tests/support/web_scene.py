"""The ingress on a port of its own, with services in memory and a container that answers as it is told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.leaping import LeapingLoop, leaping_loop
from tests.support.services import Worker, a_function

from offload.control.core.events import Result, Started
from offload.control.core.inputs import InputState
from offload.control.core.model import FailureKind
from offload.control.frontends.rpc.web import WebHandlers
from offload.control.frontends.web.ingress import PING_SECONDS
from offload.control.frontends.web.routes import Routes
from offload.control.frontends.web.server import WebServer, web_server
from offload.control.services.assembly import Services, start
from offload.wire.gen import apps_pb2, common_pb2, endpoints_pb2, web_pb2
from offload.wire.guest import web
from offload.wire.inside import EXCHANGE_WINDOW
from offload.wire.rpc import RequestContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offload.control.core.instructions import Task
    from offload.control.services.sessions import Batch

TOKEN = "the-token"  # noqa: S105  # of servers in tests
TEXT = ((b"content-type", b"text/plain"),)


def said(body: bytes, status: int = 200, headers: web.Headers = TEXT) -> bytes:
    """Return the result that is this whole response."""
    return web.encode_response(web.ResponseHead(status, headers), body)


class Container:
    """Answers each request with what `answer` returns for it: a result, or nothing, in which case the test does it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.answer: Callable[[web.RequestHead], bytes | None] = lambda _: said(b"hello")
        self.requests: list[web.RequestHead] = []
        self.tasks: list[Task] = []
        self.cancelled: list[str] = []
        self.changed = asyncio.Event()

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Return once it holds."""
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def obey(self, batch: Batch) -> None:
        """Do what one message of the server says."""
        worker = self._scene.worker
        await worker.obey_starts(batch)
        for assigned in batch.assigned:
            for task, payload in assigned.tasks:
                request = web.decode_request(common_pb2.Payload.FromString(payload).inline)
                self.requests.append(request)
                self.tasks.append(task)
                await worker.report(
                    started=(Started(task.input_id, task.attempt, worker.container),)
                )
                result = self.answer(request)
                if result is not None:
                    await self.succeed(task, result)
        self.cancelled += [input_id for input_id, _ in batch.cancels]
        self.changed.set()

    async def succeed(self, task: Task, result: bytes = b"") -> None:
        """Give the input its result."""
        value = common_pb2.Payload(encoding=web.ENCODING, inline=result)
        body = common_pb2.Outcome(value=value).SerializeToString()
        await self._end(Result(task.input_id, task.attempt, InputState.SUCCEEDED, body=body))

    async def fail(
        self, task: Task, kind: FailureKind, state: InputState = InputState.FAILED
    ) -> None:
        """Have the input end otherwise."""
        await self._end(Result(task.input_id, task.attempt, state, kind, "it broke"))

    async def _end(self, result: Result) -> None:
        await self._scene.worker.report(results=(result,))

    def exchange(self, task: Task, *, container: str = "", function: str = "fu-1") -> Exchange:
        """Open the exchange of an input."""
        return Exchange(
            self._scene.services, task.input_id, container or self._scene.worker.container, function
        )


class Exchange:
    """The container's side of one."""

    def __init__(self, services: Services, input_id: str, container: str, function: str) -> None:
        self._out: asyncio.Queue[web_pb2.WebPart | None] = asyncio.Queue()
        self._out.put_nowait(web_pb2.WebPart(container_id=container, function_id=function))
        self._in: asyncio.Queue[web.Part] = asyncio.Queue()
        self._credit = EXCHANGE_WINDOW
        self._more = asyncio.Event()
        self._services = services
        self.task = asyncio.create_task(self._run())
        self.send_now(web.Open(input_id))

    def send_now(self, part: web.Part) -> None:
        """Send whether there is credit or not."""
        self._credit -= 1
        self._out.put_nowait(web_pb2.WebPart(part=web.encode_part(part)))

    async def send(self, part: web.Part) -> None:
        """Send as soon as there is credit."""
        while self._credit <= 0:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 60)
        self.send_now(part)

    async def receive(self) -> web.Part:
        """Give credit for one part, and return it."""
        self._out.put_nowait(web_pb2.WebPart(credit=1))
        return await asyncio.wait_for(self._in.get(), 60)

    async def end(self) -> None:
        """Say that this is all."""
        self._out.put_nowait(None)
        await asyncio.wait_for(self.task, 60)

    async def _run(self) -> None:
        handlers = WebHandlers(self._services, Routes(list, lambda: 0))
        replies = handlers.exchange(self._messages(), RequestContext("", "link"))
        async with aclosing(replies):
            async for reply in replies:
                if reply.credit:
                    self._credit += reply.credit
                    self._more.set()
                if reply.part:
                    self._in.put_nowait(web.decode_part(reply.part, web.TO_CONTAINER))

    async def _messages(self) -> AsyncIterator[web_pb2.WebPart]:
        while (message := await self._out.get()) is not None:
            yield message


class WebWorker(Worker):
    """Has one container at a time."""

    container = ""

    def __init__(self, services: Services, scene: Scene) -> None:
        super().__init__(services)
        self._scene = scene

    async def obey_starts(self, batch: Batch) -> None:
        """Start what is to start."""
        for order in batch.start:
            self.container = order.container_id
        assigned, batch.assigned = batch.assigned, []
        await super().obey(batch)
        batch.assigned = assigned

    async def obey(self, batch: Batch) -> None:
        """See `Worker`."""
        await self._scene.container.obey(batch)


class Scene:
    """What a test of the ingress has."""

    def __init__(self, services: Services, store: KnobStore, server: WebServer, port: int) -> None:
        self.services = services
        self.store = store
        self.server = server
        self.port = port
        self.worker: WebWorker = WebWorker(services, self)
        self.container = Container(self)

    @property
    def url(self) -> str:
        """Where the one endpoint is."""
        return f"http://127.0.0.1:{self.port}/web/app/square"

    async def register(
        self,
        function_id: str = "fu-1",
        name: str = "square",
        startup_seconds: float = 60.0,
        **web_: object,
    ) -> None:
        """Make an endpoint of the app."""
        definition = apps_pb2.FunctionDefinition(
            name=name,
            web=[endpoints_pb2.WebEndpoint(kind="asgi", **web_)],  # type: ignore[arg-type]
        )
        body = definition.SerializeToString()
        function = a_function(
            function_id=function_id,
            name=name,
            body=body,
            max_inputs=100,
            startup_timeout_seconds=startup_seconds,
        )
        await self.services.apps.register("ap-1", [function])

    async def pass_seconds(self, seconds: float) -> None:
        """Be so much later at once, with a worker that is there all the time."""
        for _ in range(int(seconds)):
            await self.worker.report()
            await leaping_loop().leap(1.0)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes on a connection of its own; return all that comes back until its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.read(), 60)
        finally:
            writer.close()


def play(
    scenario: Callable[[Scene], Awaitable[None]],
    *,
    works: bool = True,
    hold_seconds: float = 60.0,
    ping_seconds: float = PING_SECONDS,
    leaps: bool = False,
) -> None:
    """Run a scenario with one app; its endpoints the scenario registers. `leaps`: time passes in `pass_seconds` alone."""

    async def run() -> None:
        store = KnobStore()
        # Nobody is attached to the app, however late a test makes it.
        parts = replace(outside(store, SettableClock()), lease_seconds=86_400.0)
        services = await start(parts)
        server = web_server(
            services, TOKEN, "apps.example.org", "public", hold_seconds, ping_seconds
        )
        listening = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        await services.apps.create("app", "ap-1")
        scene = Scene(services, store, server, port)
        working = asyncio.create_task(scene.worker.work()) if works else None
        try:
            await scenario(scene)
        finally:
            server.close()
            listening.close()
            scene.worker.session.close()
            if working is not None:
                await working
            await services.close()

    with asyncio.Runner(loop_factory=LeapingLoop if leaps else None) as runner:
        runner.run(run())
