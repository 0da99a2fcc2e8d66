"""What is left of the network of containers when they and their worker have ended, as a program of root's: `DATA_DIR RUNTIME`.

It prints one JSON object. The machine is the network namespace that it is started in.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.docker_daemon import NoDockerError, docker_daemon
from tests.support.forked_runtime import ForkedRuntime
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.worker.core.network import AllowList
from offload.worker.ports import Runtime
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.ground import Ground
from offload.worker.runtimes.network import ContainerNetwork
from offload.worker.runtimes.options import RuntimeOptions

_MANY = {"bubblewrap": 200, "docker": 12}
_PATIENCE_SECONDS = 60.0
_INTERFACES = "sorted(line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:])"


def machine() -> list[list[str]]:
    """Return the machine's links and nftables' tables."""
    links = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()]
    said = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True)
    return [sorted(links[2:]), [line.removeprefix("table ") for line in said.stdout.splitlines()]]


def make(data_dir: str, docker_socket: str | None) -> BubblewrapRuntime | DockerRuntime:
    """Make a runtime: Docker's where there is an engine."""
    options = RuntimeOptions(data_dir, guest_argv=GUEST_ARGV, docker_socket=docker_socket)
    return DockerRuntime(options) if docker_socket is not None else BubblewrapRuntime(options)


def parts_of(runtime: BubblewrapRuntime | DockerRuntime) -> tuple[Ground, ContainerNetwork]:
    """Return a runtime's ground and network."""
    if isinstance(runtime, BubblewrapRuntime):
        return runtime._ground, runtime._network
    own = runtime._network._own
    assert own is not None, runtime._network.missing
    return own._ground, own._network


def gateway_of(ground: Ground) -> int:
    """Return the number of the gateway's process, a child of the ground's inner one."""
    inner = _child_of(ground._process.pid)
    children = Path(f"/proc/{inner}/task/{inner}/children").read_text().split()
    named = [
        pid for pid in children if b"gateway_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return int(named[0])


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def router(ground: Ground) -> list[object]:
    """Return how many lines the router has, and how many elements those of its sets for lines have that are not empty."""
    enter = ["nsenter", f"--net=/proc/{gateway_of(ground)}/ns/net"]
    said = subprocess.run(
        [*enter, "nft", "-j", "list", "ruleset"], check=True, capture_output=True, text=True
    )
    counts = {}
    for entry in json.loads(said.stdout)["nftables"]:
        for kind in ("set", "map"):
            if kind in entry and entry[kind]["name"] not in ("never", "machine"):
                counts[entry[kind]["name"]] = len(entry[kind].get("elem", []))
    links = subprocess.run(
        [*enter, "ip", "-o", "link"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return [len(links), {name: count for name, count in counts.items() if count}]


def wait_for(look: Callable[[], object], wanted: object) -> object:
    """Return what is seen once it is as wanted, or too late: the kernel takes namespaces away in its own time."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while (seen := look()) != wanted and time.monotonic() < until:
        select.select((), (), (), 0.05)  # nothing tells when the kernel is done
    return seen


async def many(runtime: Runtime, count: int) -> None:
    """Start one container after the other, with lists and without, and end it."""
    for number in range(count):
        allowed = AllowList(("10.0.0.0/8",), ("example.org",)) if number % 2 else None
        container = await runtime.start(a_spec(f"ct-{number}", allowed=allowed))
        await container.close()


async def forks(runtime: BubblewrapRuntime) -> None:
    """Fork some containers, and end them with their template."""
    forking = ForkedRuntime(runtime)
    for number in range(5):
        container = await forking.start(a_spec(f"ct-fork-{number}"))
        await container.close()


async def look(data_dir: str, docker_socket: str | None) -> dict[str, object]:
    """Look at the router after containers, and at the machine after a worker that was closed."""
    runtime = make(data_dir, docker_socket)
    ground, network = parts_of(runtime)
    # Lines that are kept ready are there from the start on.
    ready = [6, {"lines": 4, "flows": 4, "marks": 4}]
    found: dict[str, object] = {"ready": ready, "before": wait_for(lambda: router(ground), ready)}
    found["machine_while_closed"] = machine()
    await many(runtime, _MANY[runtime.capabilities.name])
    found["after_many"] = wait_for(lambda: router(ground), ready)
    if isinstance(runtime, BubblewrapRuntime):
        await forks(runtime)
        found["after_forks"] = wait_for(lambda: router(ground), ready)
    os.kill(gateway_of(ground), signal.SIGKILL)
    wait_for(lambda: network._gateway and network._gateway.is_alive, False)
    container = await runtime.start(a_spec("ct-after"))
    found["after_kill_of_gateway"] = await ask(container, _INTERFACES)
    await container.close()
    await runtime.close()
    found["machine_after_closed"] = wait_for(machine, [["lo"], []])
    return found


async def keep_one(runtime: Runtime, tell: int) -> None:
    """Keep a container until somebody ends this process."""
    container = await runtime.start(a_spec("ct-kept"))
    await ask(container, "1")
    os.write(tell, b"x")
    signal.pause()


def kill(data_dir: str, docker_socket: str | None, *, whom: str) -> dict[str, object]:
    """Kill a worker, or its ground, in another process; return the machine before and after."""
    told, tell = os.pipe()
    worker = os.fork()
    if worker == 0:
        runtime = make(data_dir, docker_socket)
        os.write(tell, parts_of(runtime)[0]._process.pid.to_bytes(4, "big"))
        asyncio.run(keep_one(runtime, tell))
    ground = int.from_bytes(os.read(told, 4), "big")
    os.read(told, 1)
    found: dict[str, object] = {f"machine_while_{whom}_killed": machine()}
    os.kill(worker if whom == "worker" else _child_of(ground), signal.SIGKILL)
    found[f"machine_after_{whom}_killed"] = wait_for(machine, [["lo"], []])
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    return found


def look_and_kill(data_dir: str, docker_socket: str | None) -> dict[str, object]:
    """Look at all ends of a worker."""
    found = asyncio.run(look(data_dir, docker_socket))
    for victim in ("worker", "ground"):
        found |= kill(data_dir, docker_socket, whom=victim)
    return found


def main(data_dir: str, kind: str) -> dict[str, object]:
    """Look, with an engine where the runtime wants one."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    tempfile.tempdir = data_dir  # where what a killed worker leaves goes with the rest
    if kind != "docker":
        return look_and_kill(data_dir, None)
    try:
        with docker_daemon(shares_network=True) as socket:
            return look_and_kill(data_dir, socket)
    except NoDockerError as error:
        return {"unavailable": str(error)}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201
