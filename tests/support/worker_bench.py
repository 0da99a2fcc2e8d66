"""A worker under test between a scripted server and a scripted runner."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.fake_images import FakeImages
from tests.support.worker_runner import ScriptedRunner, result
from tests.support.worker_server import ScriptedServer

from offload.wire import guest
from offload.wire.gen import common_pb2, workers_pb2
from offload.worker.agent import Agent, AgentOptions
from offload.worker.core.output import USUAL_OUTPUT, OutputLimits
from offload.worker.core.templates import TemplatePolicy
from offload.worker.core.values import Gpu, WorkerFacts
from offload.worker.link import SessionOptions
from offload.worker.runtimes.fake import FakeRuntime, Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from offload.wire.status import WireError

READY = workers_pb2.CONTAINER_STATE_READY
FAILED = workers_pb2.CONTAINER_STATE_FAILED
STOPPED = workers_pb2.CONTAINER_STATE_STOPPED
DIED = workers_pb2.CONTAINER_STATE_DIED
STOPPING = workers_pb2.CONTAINER_STATE_STOPPING

GPUS = (Gpu(0, "NVIDIA H100"), Gpu(1, "NVIDIA H100", "GPU-b"))


@dataclass
class Bench:
    """A worker under test with all that is around it."""

    server: ScriptedServer
    runner: ScriptedRunner
    runtime: FakeRuntime
    agent: Agent
    running: asyncio.Task[None]
    images: FakeImages

    def define(self, **fields: object) -> None:
        definition = {
            "function_id": "fu-1",
            "app_id": "ap-1",
            "name": "work",
            "code": common_pb2.Payload(encoding="cloudpickle", inline=b"code"),
            "memory_mib": 256,
            "startup_timeout_seconds": 60,
            "local_image": {"host_id": "host-1", "python": sys.executable, "working_dir": "/"},
            **fields,
        }
        self.server.say(functions=[definition])

    async def start(self, container_id: str = "co-1", **fields: object) -> None:
        self.define(**fields)
        self.server.say(start=[{"container_id": container_id, "function_id": "fu-1"}])
        await self.server.until(lambda: READY in self.server.states(container_id))

    def assign(self, *input_ids: str, attempt: int = 1, alone: bool = False) -> None:
        tasks = [
            {
                "input_id": input_id,
                "attempt": attempt,
                "args": {"encoding": "pickle", "inline": input_id.encode()},
                "alone": alone,
            }
            for input_id in input_ids
        ]
        self.server.say(assignments=[{"function_id": "fu-1", "inputs": tasks}])

    async def warm_up(self) -> None:
        """Let the worker measure one very short input, so that it prefetches."""
        self.assign("in-warm")
        await self.runner.next(guest.Run)
        self.runner.say(guest.Results((result("in-warm"),)))
        await self.server.until(lambda: self.server.windows.get("fu-1", 0) > 100)


@asynccontextmanager
async def a_worker(
    data_dir: Path,
    refusal: WireError | None = None,
    *,
    drain_seconds: float = 0.2,
    cancel_grace_seconds: float = 5.0,
    templates: TemplatePolicy | None = None,
    output: OutputLimits = USUAL_OUTPUT,
    **runner_knobs: object,
) -> AsyncIterator[Bench]:
    server, runner = ScriptedServer(refusal), ScriptedRunner(**runner_knobs)
    images = FakeImages()
    script = Script(
        guest=runner, forked_guest=runner.play_forked, forks_templates=templates is not None
    )
    runtime = FakeRuntime(script)
    facts = WorkerFacts(
        "wk-1", "test", "host-1", 4000, 4096, {"fake": ("cpu_limit",)}, {"room": "attic"}, GPUS
    )
    options = AgentOptions(
        session=SessionOptions("ws://test/link", "token", facts),
        runtimes={"fake": runtime},
        data_dir=data_dir,
        cache_bytes=1 << 30,
        drain_seconds=drain_seconds,
        cancel_grace_seconds=cancel_grace_seconds,
        dial=server.dial,
        make_images=lambda _: {"rootfs": images},
        templates=templates or TemplatePolicy(),
        output=output,
    )
    agent = Agent(options)
    running = asyncio.create_task(agent.run())
    try:
        await server.until(lambda: server.hellos or refusal)
        yield Bench(server, runner, runtime, agent, running, images)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def scenario(
    test: Callable[[Bench], Coroutine[object, object, None]], **knobs: object
) -> Callable[[Path], None]:
    """Run the test with a worker, in a loop of its own."""

    def run(tmp_path: Path) -> None:
        async def main() -> None:
            async with a_worker(tmp_path, **knobs) as bench:
                await test(bench)

        asyncio.run(main())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run
