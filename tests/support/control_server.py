"""A real server process, and scripted peers that speak to it over the link."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from offload.wire.gen import apps_pb2, calls_pb2, common_pb2, workers_pb2
from offload.wire.link import Link, Stream, connect

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

_START = """
import sys
from pathlib import Path
from offload.control.config import ServerConfig
from offload.control.main import run
args = dict(arg.split("=", 1) for arg in sys.argv[1:])
numbers = {k: float(args.pop(k)) for k in ("idle_exit_seconds",) if k in args}
ports = {k: int(args.pop(k, 0)) for k in ("http_port", "grpc_port")}
paths = {k: Path(args.pop(k)) for k in ("data_dir", "tls_cert", "tls_key") if k in args}
sys.exit(run(ServerConfig(**args, **numbers, **ports, **paths)))
"""


@dataclass
class Server:
    """A server process that answers."""

    process: subprocess.Popen[str]
    data_dir: Path
    http_port: int
    grpc_port: int
    token: str
    links: list[Link] = field(default_factory=list)

    async def connect(self) -> Link:
        link = await connect(f"ws://127.0.0.1:{self.http_port}/link", self.token)
        self.links.append(link)
        return link

    def play(self, scenario: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Run a scenario with this server, and close what it connected."""

        async def run() -> T:
            try:
                return await scenario(self, *arguments)
            finally:
                for link in self.links:
                    await link.close()
                self.links.clear()

        return asyncio.run(run())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> tuple[int, str]:
        """Ask it to end; return its exit code and what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


def spawn(data_dir: Path, **options: object) -> subprocess.Popen[str]:
    """Start a server process without waiting for it."""
    arguments = [f"{name}={value}" for name, value in {"data_dir": data_dir, **options}.items()]
    return subprocess.Popen(
        [sys.executable, "-c", _START, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},  # noqa: TID251 - for the child
    )


def start(data_dir: Path, **options: object) -> Server:
    """Start a server and wait for its line on stderr."""
    process = spawn(data_dir, **options)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("offload server"):
            break
    else:
        raise AssertionError(f"the server ended: {''.join(lines)}")
    facts = json.loads((data_dir / "server.json").read_text())
    token = (data_dir / "token").read_text().strip()
    return Server(process, data_dir, facts["http_port"], facts["grpc_port"], token)


@contextlib.contextmanager
def running(data_dir: Path, **options: object) -> Iterator[Server]:
    """Run a server for the length of the block."""
    server = start(data_dir, **options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


Answer = Callable[[workers_pb2.InputTask], common_pb2.Outcome | None]


def echo(task: workers_pb2.InputTask) -> common_pb2.Outcome | None:
    """Succeed with the arguments as the value."""
    return common_pb2.Outcome(state=common_pb2.INPUT_STATE_SUCCEEDED, value=task.args)


def hold(task: workers_pb2.InputTask) -> common_pb2.Outcome | None:
    """Say nothing."""
    return None


class ScriptedWorker:
    """Starts containers by saying so, and answers inputs by a function. Keeps everything it was sent."""

    def __init__(self, link: Link, answer: Answer = echo, worker_id: str = "wk-test") -> None:
        self.answer = answer
        self.worker_id = worker_id
        self.window = 64
        self.received: list[workers_pb2.ServerMessage] = []
        self.held: dict[str, workers_pb2.HeldInput] = {}
        self.containers: dict[str, str] = {}
        self.arrived = asyncio.Event()
        self.recorded = asyncio.Event()
        self.seq = 0
        self.recorded_seq = 0
        self._stream: Stream[workers_pb2.ServerMessage] = link.stream(
            "offload.v1.Workers/Session", workers_pb2.ServerMessage
        )

    async def send(self, message: workers_pb2.WorkerMessage) -> None:
        self.seq += 1
        message.seq = self.seq
        await self._stream.send(message)

    async def join(self) -> None:
        """Say hello and wait for the welcome."""
        hello = workers_pb2.Hello(
            host_id="host-1",
            worker_id=self.worker_id,
            name="scripted",
            version="0",
            capacity=workers_pb2.Capacity(cpu_milli=64_000, memory_mib=64_000),
            runtimes=["fake"],
            held=self.held.values(),
            containers=[
                workers_pb2.ContainerReport(
                    container_id=container_id,
                    function_id=function_id,
                    state=workers_pb2.CONTAINER_STATE_READY,
                )
                for container_id, function_id in self.containers.items()
            ],
        )
        await self.send(workers_pb2.WorkerMessage(hello=hello))
        welcome = await self._stream.receive()
        assert welcome is not None
        assert welcome.welcome.server_version

    async def serve(self) -> None:
        """Obey until the session ends."""
        async for message in self._stream:
            self.received.append(message)
            if message.recorded_seq:
                self.recorded_seq = message.recorded_seq
                self.recorded.set()
            if message.shut_down:
                await self._stream.end()
                return
            reply = self._obey(message)
            if reply.ByteSize():
                await self.send(reply)

    def _obey(self, message: workers_pb2.ServerMessage) -> workers_pb2.WorkerMessage:
        reply = workers_pb2.WorkerMessage()
        for order in message.start:
            self.containers[order.container_id] = order.function_id
            reply.containers.add(
                container_id=order.container_id,
                function_id=order.function_id,
                state=workers_pb2.CONTAINER_STATE_READY,
            )
            reply.windows.add(function_id=order.function_id, inputs=self.window)
        for stop in message.stop:
            function_id = self.containers.pop(stop.container_id, "")
            reply.containers.add(
                container_id=stop.container_id,
                function_id=function_id,
                state=workers_pb2.CONTAINER_STATE_STOPPED,
            )
        for assignment in message.assignments:
            for task in assignment.inputs:
                outcome = self.answer(task)
                if outcome is None:
                    self.held[task.input_id] = workers_pb2.HeldInput(
                        input_id=task.input_id,
                        attempt=task.attempt,
                        function_id=assignment.function_id,
                    )
                else:
                    reply.results.add(input_id=task.input_id, attempt=task.attempt, outcome=outcome)
        if message.assignments:
            self.arrived.set()
        return reply


@contextlib.asynccontextmanager
async def working(
    link: Link, answer: Answer = echo, worker_id: str = "wk-test"
) -> AsyncIterator[ScriptedWorker]:
    """Have a scripted worker for the length of the block."""
    worker = ScriptedWorker(link, answer, worker_id)
    await worker.join()
    serving = asyncio.create_task(worker.serve())
    try:
        yield worker
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def payload(text: str) -> common_pb2.Payload:
    """Some user's bytes."""
    return common_pb2.Payload(encoding="raw", inline=text.encode())


def definition(name: str = "square", **fields: object) -> apps_pb2.FunctionDefinition:
    """A function as a caller registers it."""
    made = apps_pb2.FunctionDefinition(
        name=name,
        code=payload(name),
        cpu_milli=100,
        memory_mib=64,
        timeout_seconds=60,
        startup_timeout_seconds=60,
        max_containers=1,
        scaledown_window_seconds=60,
    )
    for key, value in fields.items():
        setattr(made, key, value)
    return made


@dataclass
class Caller:
    """The SDK's side, without the SDK."""

    link: Link
    app_id: str
    function_id: str

    async def run(self, call_id: str, text: str) -> calls_pb2.RunReply:
        return await self.link.unary(
            "offload.v1.Calls/Run",
            calls_pb2.RunRequest(call_id=call_id, function_id=self.function_id, args=payload(text)),
            calls_pb2.RunReply,
        )

    async def submit(self, call_id: str, count: int, **fields: object) -> None:
        request = calls_pb2.SubmitRequest(
            call_id=call_id,
            function_id=self.function_id,
            kind=calls_pb2.CALL_KIND_MAP,
            inputs=[calls_pb2.Input(index=n, args=payload(str(n))) for n in range(count)],
            closed=True,
            attached=True,
        )
        for key, value in fields.items():
            setattr(request, key, value)
        await self.link.unary("offload.v1.Calls/Submit", request, calls_pb2.SubmitReply)

    async def outcomes(self, call_id: str, after: int = 0) -> list[calls_pb2.IndexedOutcome]:
        stream = self.link.stream("offload.v1.Calls/Outcomes", calls_pb2.OutcomeBatch)
        await stream.send(calls_pb2.OutcomesRequest(call_id=call_id, after_seq=after))
        await stream.end()
        return [outcome async for batch in stream for outcome in batch.outcomes]


async def call_from(link: Link, made: apps_pb2.FunctionDefinition | None = None) -> Caller:
    """Open an app with one function."""
    app = await link.unary(
        "offload.v1.Apps/CreateApp", apps_pb2.CreateAppRequest(name="app"), apps_pb2.CreateAppReply
    )
    registered = await link.unary(
        "offload.v1.Apps/RegisterFunctions",
        apps_pb2.RegisterFunctionsRequest(
            app_id=app.app_id, functions=[made if made is not None else definition()]
        ),
        apps_pb2.RegisterFunctionsReply,
    )
    return Caller(link, app.app_id, registered.function_ids[0])
