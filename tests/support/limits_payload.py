"""What containers are held to, measured from inside, as a program: it prints one JSON object of findings.

A program for the reasons of `runtime_payload`, and so that it can be run where no control groups are: `DATA_DIR RUNTIME [DOCKER_SOCKET]`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask
from tests.support.runtime_payload import OS, RUNTIMES

from offload.worker.ports import Container, Runtime, RuntimeUnavailableError
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.supervisor.starting import usual_scratch_mib

SMALL_MIB, OWN_SCRATCH_MIB = 128, 256
LIGHT, HEAVY = 250, 1000
THROTTLED_PERIODS = 5

# A machine that is busy may start one of two long after the other.
_TRIES = 5

# Thousandths of a second of processor time that a loop got in a second by the clock, on one and the same core.
BUSY = (
    "(lambda t, os: (os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}), t.process_time(),"
    " [end := t.monotonic() + 1, any(t.monotonic() > end for _ in iter(int, 1))], round(t.process_time() * 1000))"
    ")(__import__('time'), __import__('os'))"
)
FILL = (
    "(lambda file, os: (lambda write: [write(b'x' * 1048576) for _ in iter(int, 1)])(file.write))"
    "(open('/tmp/flood', 'ab', 0), None)"
)
FILLED_MIB = f"{OS}.path.getsize('/tmp/flood') >> 20"
OPEN_ALL = f"[{OS}.open('/dev/null', 0) for _ in iter(int, 1)]"


async def measure(runtime: Runtime) -> dict[str, object]:
    """Hold containers to every limit, beside one that must not notice."""
    bystander = await runtime.start(a_spec("ct-bystander"))
    found: dict[str, object] = {"capabilities": asdict(runtime.capabilities)}
    found["shares"] = await _share_a_core(runtime)
    if runtime.capabilities.limits_cpu:
        limited = await runtime.start(a_spec("ct-quota", cpu_milli=100, cpu_limit_milli=300))
        found["quota"] = await _busy(limited)
        # On a busy machine it may get less than its quota, and is then not held to it.
        for _ in range(_TRIES):
            found["throttled"] = throttled = _throttled_periods("ct-quota")
            if throttled is None or throttled >= THROTTLED_PERIODS:
                break
            await _busy(limited)
        await limited.close()
    usual = usual_scratch_mib(SMALL_MIB)
    for name, changes in (
        ("part of memory", {"scratch_mib": usual}),
        ("beside memory", {"scratch_mib": OWN_SCRATCH_MIB, "owns_scratch": True}),
    ):
        container = await runtime.start(a_spec("ct-disk", memory_mib=SMALL_MIB, **changes))
        found[f"disk {name}"] = await _ask_or_end(container, FILL)
        found[f"disk {name}, MiB"] = await _ask_or_end(container, FILLED_MIB)
        await container.close()
    container = await runtime.start(a_spec("ct-files"))
    found["files"] = await ask(container, OPEN_ALL)
    await container.close()
    found["bystander"] = await ask(bystander, "6 * 7")
    await runtime.close()
    return found


def _throttled_periods(container_id: str) -> int | None:
    """Return how often the kernel made the container wait for its quota; None where an engine made its group."""
    for file in Path("/sys/fs/cgroup").rglob(f"{container_id}/cpu.stat"):
        fields = dict(line.split() for line in file.read_text().splitlines())
        if "nr_throttled" in fields:
            return int(fields["nr_throttled"])
    return None


async def _share_a_core(runtime: Runtime) -> list[int]:
    containers = [
        await runtime.start(a_spec(f"ct-{milli}", cpu_milli=milli)) for milli in (LIGHT, HEAVY)
    ]
    # gVisor's clocks are its own, and tell the same of both.
    can_tell = runtime.capabilities.limits_cpu and runtime.capabilities.name != "gvisor"
    for _ in range(_TRIES if can_tell else 1):
        light, heavy = await asyncio.gather(*map(_busy, containers))
        if is_shared_by_requests(light, heavy):
            break
    for container in containers:
        await container.close()
    return [light, heavy]


def is_shared_by_requests(light: int, heavy: int) -> bool:
    """Tell whether two containers got of one core what they asked for, about."""
    return heavy > light * HEAVY / LIGHT / 2


async def _busy(container: Container) -> int:
    before = await ask(container, "round(__import__('time').process_time() * 1000)")
    answer = await ask(container, BUSY)
    assert isinstance(before, int)
    assert isinstance(answer, list), answer
    return int(answer[-1]) - before


async def _ask_or_end(container: Container, expression: str) -> object:
    try:
        return await ask(container, expression)
    except (EOFError, OSError):
        return asdict(await container.wait())


if __name__ == "__main__":
    data_dir, kind, *sockets = sys.argv[1:]
    docker_socket = sockets[0] if sockets else None
    options = RuntimeOptions(data_dir, guest_argv=GUEST_ARGV, docker_socket=docker_socket)
    try:
        Path(data_dir, "token").write_text("secret")
        print(json.dumps(asyncio.run(measure(RUNTIMES[kind](options)))))  # noqa: T201
    except RuntimeUnavailableError as unavailable:
        print(json.dumps({"unavailable": str(unavailable)}))  # noqa: T201
