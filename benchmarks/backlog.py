"""A million pending inputs in a real server: what they cost, and how long a worker waits for its next input.

A scripted worker speaks the link of real ones, holds one input at a time and answers at once. A claim is the time from its
answer to its next input, payload included. The server is killed with the million pending and claims are measured again,
when everything comes from the disk. The last line is one JSON object.

`--calls` makes each input a call of its own, as a program does that calls `spawn` a million times.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import free_port, quantile, report
from offload.wire.gen import apps_pb2, calls_pb2, cluster_pb2, common_pb2, workers_pb2
from offload.wire.link import Link, Stream, connect
from offload.wire.status import WireError

if TYPE_CHECKING:
    from google.protobuf.message import Message

BATCH = 1_000
IN_FLIGHT = 8
CALLERS = 512
CLAIMS = 2_000
LOOKS = 200
CALL_ID = "fc-backlog"


@dataclass
class Server:
    """A server process of our own."""

    data_dir: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again on the same state."""
        command = [sys.executable, "-m", "offload", "server", "--data-dir", str(self.data_dir)]
        ports = ["--http-port", str(self.port), "--grpc-port", "0", "--log-level", "warning"]
        self.process = subprocess.Popen([*command, *ports])

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def memory_mb(self, key: str) -> float:
        """Return `VmRSS` (now) or `VmHWM` (at most) in MB."""
        if self.process is None:
            return 0.0
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024 / 1e6
        return 0.0

    async def connect(self) -> Link:
        """Return a link as soon as there can be one."""
        while True:
            try:
                token = (self.data_dir / "token").read_text().strip()
                return await connect(f"ws://127.0.0.1:{self.port}/link", token)
            except (OSError, WireError):  # it is starting
                await asyncio.sleep(0.05)


class Worker:
    """Holds one input at a time and notes how long it waits for the next."""

    def __init__(self, link: Link) -> None:
        self.claims: list[float] = []
        self._stream: Stream[workers_pb2.ServerMessage] = link.stream(
            "offload.v1.Workers/Session", workers_pb2.ServerMessage
        )
        self._seq = 0

    async def run(self, claims: int) -> None:
        """Join, and work until so many inputs were claimed."""
        hello = workers_pb2.Hello(
            worker_id="wk-bench",
            name="bench",
            version="0",
            capacity=workers_pb2.Capacity(cpu_milli=1000, memory_mib=1000),
            runtimes=["fake"],
        )
        await self._send(workers_pb2.WorkerMessage(hello=hello))
        answered_at = 0.0
        async for message in self._stream:
            reply = workers_pb2.WorkerMessage()
            for order in message.start:
                reply.containers.add(
                    container_id=order.container_id,
                    function_id=order.function_id,
                    state=workers_pb2.CONTAINER_STATE_READY,
                )
                reply.windows.add(function_id=order.function_id, inputs=1)
            for assignment in message.assignments:
                for task in assignment.inputs:
                    if answered_at:
                        self.claims.append(time.perf_counter() - answered_at)
                    outcome = common_pb2.Outcome(
                        state=common_pb2.INPUT_STATE_SUCCEEDED, value=task.args
                    )
                    reply.results.add(input_id=task.input_id, attempt=task.attempt, outcome=outcome)
            if len(self.claims) >= claims:
                self._stream.cancel()
                return
            if reply.ByteSize():
                answered_at = time.perf_counter() if reply.results else 0.0
                await self._send(reply)

    async def _send(self, message: workers_pb2.WorkerMessage) -> None:
        self._seq += 1
        message.seq = self._seq
        await self._stream.send(message)


async def _open(link: Link) -> tuple[str, str]:
    """Open an app that nobody has to attach to; return it with its one function."""
    app = await link.unary(
        "offload.v1.Apps/CreateApp",
        apps_pb2.CreateAppRequest(name="backlog"),
        apps_pb2.CreateAppReply,
    )
    function = apps_pb2.FunctionDefinition(
        name="noop",
        code=common_pb2.Payload(encoding="raw", inline=b"code"),
        cpu_milli=1000,
        memory_mib=100,
        timeout_seconds=60,
        startup_timeout_seconds=60,
        max_containers=1,
        scaledown_window_seconds=60,
    )
    reply = await link.unary(
        "offload.v1.Apps/RegisterFunctions",
        apps_pb2.RegisterFunctionsRequest(app_id=app.app_id, functions=[function]),
        apps_pb2.RegisterFunctionsReply,
    )
    function_id: str = reply.function_ids[0]
    await link.unary(
        "offload.v1.Calls/Submit",
        calls_pb2.SubmitRequest(
            call_id=CALL_ID, function_id=function_id, kind=calls_pb2.CALL_KIND_MAP
        ),
        calls_pb2.SubmitReply,
    )
    return app.app_id, function_id


async def _submit(link: Link, start: int, end: int) -> float:
    """Add the inputs from `start` to `end`; return how many a second were acknowledged, that is, on disk."""
    turns = asyncio.Semaphore(IN_FLIGHT)

    async def add(first: int) -> None:
        async with turns:
            inputs = [
                calls_pb2.Input(
                    index=index,
                    args=common_pb2.Payload(encoding="pickle", inline=b"((%d,), {})" % index),
                )
                for index in range(first, min(first + BATCH, end))
            ]
            request = calls_pb2.AddInputsRequest(call_id=CALL_ID, inputs=inputs)
            await link.unary("offload.v1.Calls/AddInputs", request, calls_pb2.AddInputsReply)

    began = time.perf_counter()
    await asyncio.gather(*(add(first) for first in range(start, end, BATCH)))
    return (end - start) / (time.perf_counter() - began)


async def _submit_calls(link: Link, app_id: str, function_id: str, count: int) -> float:
    """Submit so many calls of one input; return how many a second were acknowledged."""
    numbers = iter(range(count))

    async def submit() -> None:
        for number in numbers:
            payload = common_pb2.Payload(encoding="pickle", inline=b"((%d,), {})" % number)
            request = calls_pb2.SubmitRequest(
                function_id=function_id,
                kind=calls_pb2.CALL_KIND_SINGLE,
                inputs=[calls_pb2.Input(index=0, args=payload)],
                closed=True,
            )
            await link.unary("offload.v1.Calls/Submit", request, calls_pb2.SubmitReply)

    held = link.stream("offload.v1.Apps/Attach", apps_pb2.AppEvents)
    await held.send(apps_pb2.AttachRequest(app_id=app_id))
    began = time.perf_counter()
    await asyncio.gather(*(submit() for _ in range(CALLERS)))
    return count / (time.perf_counter() - began)


async def _claim(server: Server) -> list[float]:
    link = await server.connect()
    worker = Worker(link)
    await worker.run(CLAIMS)
    await link.close()
    return [seconds * 1000 for seconds in worker.claims]


async def _look(server: Server) -> list[float]:
    """Ask what an operator asks, over and over; return the milliseconds of each answer."""
    link = await server.connect()
    questions: list[tuple[str, Message, type[Message]]] = [
        (
            "offload.v1.Cluster/Status",
            cluster_pb2.StatusRequest(pending_limit=50),
            cluster_pb2.StatusReply,
        ),
        (
            "offload.v1.Calls/Describe",
            calls_pb2.DescribeRequest(call_id=CALL_ID, input_limit=50),
            calls_pb2.CallDescription,
        ),
        (
            "offload.v1.Calls/ListCalls",
            calls_pb2.ListCallsRequest(open_only=True),
            calls_pb2.ListCallsReply,
        ),
    ]
    took = []
    for number in range(LOOKS):
        began = time.perf_counter()
        await link.unary(*questions[number % len(questions)])
        took.append((time.perf_counter() - began) * 1000)
    await link.close()
    return took


async def _restart(server: Server, link: Link) -> tuple[Link, float]:
    """Kill the server and start it again; return a new link, and how long it took from there until the server welcomed it."""
    await link.close()
    server.kill()
    server.start()
    began = time.perf_counter()
    link = await server.connect()
    return link, time.perf_counter() - began


async def _measure(server: Server, count: int) -> dict[str, object]:
    link = await server.connect()
    await _open(link)
    await _submit(link, 0, 1_000 + CLAIMS)
    few = await _claim(server)
    rate = await _submit(link, 1_000 + CLAIMS, count + CLAIMS)
    rss = server.memory_mb("VmRSS")
    claiming = asyncio.create_task(_claim(server))
    looks = await _look(server)
    many = await claiming
    alone = await _claim(server)
    link, restart_seconds = await _restart(server, link)
    cold = await _claim(server)
    cold_rss = server.memory_mb("VmRSS")
    began = time.perf_counter()
    reply = await link.unary(
        "offload.v1.Calls/Cancel",
        calls_pb2.CancelRequest(call_id=CALL_ID, reason="enough"),
        calls_pb2.CancelReply,
    )
    cancel_seconds = time.perf_counter() - began
    await link.close()
    return {
        "submit_per_s": round(rate),
        "claim_p50_ms_at_1k": round(statistics.median(few), 3),
        "claim_p50_ms_at_1m": round(statistics.median(alone), 3),
        "claim_p50_ms_at_1m_while_asked": round(statistics.median(many), 3),
        "claim_p50_ms_at_1m_after_restart": round(statistics.median(cold), 3),
        "claim_p99_ms_at_1m_after_restart": round(quantile(cold, 0.99), 3),
        "server_rss_mb": round(max(rss, cold_rss), 1),
        "server_peak_mb": round(server.memory_mb("VmHWM"), 1),
        "status_p99_ms": round(quantile(looks, 0.99), 2),
        "restart_seconds": round(restart_seconds, 2),
        "cancel_seconds": round(cancel_seconds, 3),
        "cancelled": int(reply.cancelled_inputs),
    }


async def _measure_calls(server: Server, count: int) -> dict[str, object]:
    link = await server.connect()
    app_id, function_id = await _open(link)
    empty = server.memory_mb("VmRSS")
    rate = await _submit_calls(link, app_id, function_id, count)
    rss = server.memory_mb("VmRSS")
    looks = await _look(server)
    claims = await _claim(server)
    link, restart_seconds = await _restart(server, link)
    cold = await _claim(server)
    await link.close()
    return {
        "calls_per_s": round(rate),
        "server_empty_mb": round(empty, 1),
        "server_rss_mb": round(rss, 1),
        "server_peak_mb_after_restart": round(server.memory_mb("VmHWM"), 1),
        "claim_p50_ms": round(statistics.median(claims), 3),
        "claim_p50_ms_after_restart": round(statistics.median(cold), 3),
        "status_p99_ms": round(quantile(looks, 0.99), 2),
        "restart_seconds": round(restart_seconds, 2),
    }


def main() -> None:
    """Pile up, look, claim, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--calls", action="store_true", help="each input a call of its own")
    options = parser.parse_args()
    measure = _measure_calls if options.calls else _measure
    with tempfile.TemporaryDirectory(prefix="offload-backlog-") as folder:
        server = Server(Path(folder), free_port())
        server.start()
        try:
            result = asyncio.run(measure(server, options.inputs))
        finally:
            server.kill()
    rows = {name: {"": str(value)} for name, value in result.items()}
    report(f"{options.inputs:,} pending {'calls' if options.calls else 'inputs'}", rows, result)


if __name__ == "__main__":
    os.environ.pop("OFFLOAD_TOKEN", None)
    main()
