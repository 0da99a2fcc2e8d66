"""What the security tests do inside one container, as a program: it prints one JSON object of findings.

A program, so that the same attack can be run by root's worker and by an ordinary user's: `DATA_DIR RUNTIME [DOCKER_SOCKET]`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from tests.support.forked_runtime import make_forked
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.worker.ports import Runtime, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions

RUNTIMES = {
    "bubblewrap": BubblewrapRuntime,
    "forked": make_forked,
    "gvisor": GvisorRuntime,
    "docker": DockerRuntime,
}

OS = "__import__('os')"
STATUS = "dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines())"

# How long the programs left in the background sleep: nobody else's do, not even another run's of this.
BACKGROUND = (1_000_000 + os.getpid(), 6_000_000 + os.getpid())

# Finding -> expression; they leave a container as it was, but for one file in its home, and share one.
LOOKS = {
    "status": STATUS,
    "ids": f"[{OS}.getuid(), {OS}.getgid()]",
    "first_environ": "open('/proc/1/environ').read()",
    "host_processes": f"[pid for pid in {OS}.listdir('/proc') if pid.isdigit()]",
    "write_root": "open('/usr/probe', 'w').close()",
    "write_etc": "open('/etc/probe', 'w').close()",
    "write_dev": "open('/dev/probe', 'w').close()",
    "write_run": "open('/run/probe', 'w').close()",
    "write_guest": "open('/run/offload/guest/offload/probe', 'w').close()",
    "write_core_pattern": "open('/proc/sys/kernel/core_pattern', 'w').close()",
    "write_sysctl": "open('/proc/sys/vm/drop_caches', 'w').close()",
    "write_sysrq": "open('/proc/sysrq-trigger', 'w').close()",
    "write_cgroup": "open('/sys/fs/cgroup/cgroup.procs', 'w').close()",
    "read_kcore": "len(open('/proc/kcore', 'rb').read(1))",
    "read_kallsyms": "len(open('/proc/kallsyms').read())",
    "homes": f"{OS}.listdir('/home')",
    "root_home": f"{OS}.listdir('/root')",
    "tmp": f"{OS}.listdir('/tmp')",
    "var_tmp": f"{OS}.listdir('/var/tmp')",
    "run": f"{OS}.listdir('/run')",
    "shm": f"{OS}.listdir('/dev/shm')",
    "nested_namespace": (
        "__import__('subprocess').run(['unshare', '--user', 'true'], capture_output=True).returncode"
    ),
    "mount": "__import__('subprocess').run(['mount', '-t', 'tmpfs', 'x', '/tmp'], capture_output=True).returncode",
    "interfaces": "sorted(line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:])",
    "home": f"[{OS}.environ['HOME'], {OS}.getcwd(), {OS}.uname().nodename]",
    "home_writable": "open('/home/offload/probe', 'w').write('ok')",
    "imports": "__import__('offload').__name__ + __import__('cloudpickle').__name__",
    "core_limit": "__import__('resource').getrlimit(__import__('resource').RLIMIT_CORE)",
    "open_files": "__import__('resource').getrlimit(__import__('resource').RLIMIT_NOFILE)",
}

# These use a container up: each has one of its own.
ENDS = {
    "scratch_bytes": "sum(1 for _ in iter(lambda: open('/tmp/big', 'ab').write(b'x' * 1048576), None))",
    "scratch_inodes": "[open('/dev/shm/n%d' % n, 'w').close() for n in range(2000)]",
    "forks": (
        f"[pid for pid in iter({OS}.fork, None) if pid == 0 and __import__('signal').pause()]"
    ),
    "memory": "len(b'x' * (1500 << 20))",
}

# gVisor keeps for each process what the kernel keeps for others: it must not end of memory before it is out of pids.
_MEMORY_MIB = {"forks": 512}


async def look(data_dir: str, kind: str, docker_socket: str | None = None) -> dict[str, object]:
    """Run every look and every end; return the findings by name."""
    options = RuntimeOptions(data_dir=data_dir, guest_argv=GUEST_ARGV, docker_socket=docker_socket)
    runtime: Runtime = RUNTIMES[kind](options)
    found: dict[str, object] = {"capabilities": asdict(runtime.capabilities)}
    container = await runtime.start(a_spec("ct-looks"))
    for name, expression in (LOOKS | {"data_dir": f"{OS}.listdir({data_dir!r})"}).items():
        found[name] = await ask(container, expression)
    await container.close()
    for name, expression in ENDS.items():
        container = await runtime.start(
            a_spec(
                f"ct-{name}",
                memory_mib=_MEMORY_MIB.get(name, 128),
                pids=64,
                scratch_mib=16,
                scratch_inodes=500,
            )
        )
        try:
            found[name] = await ask(container, expression)
        except EOFError:
            found[name] = asdict(await container.wait())
        await container.close()
    found |= await look_across(runtime)
    await runtime.close()
    return found


async def look_across(runtime: Runtime) -> dict[str, object]:
    """Look from one container at another, at its own end, and at a network that is blocked."""
    first = await runtime.start(a_spec("ct-first"))
    second = await runtime.start(a_spec("ct-second", block_network=True))
    await ask(first, "open('/tmp/mine', 'w').close()")
    # Popen returns when its program has begun, so that /proc names it.
    for seconds in BACKGROUND:
        await ask(first, f"__import__('subprocess').Popen(['sleep', '{seconds}']).pid")
    found: dict[str, object] = {
        "other_tmp": await ask(second, f"{OS}.listdir('/tmp')"),
        "other_processes": await ask(
            second, f"[pid for pid in {OS}.listdir('/proc') if pid.isdigit()]"
        ),
        "blocked_interfaces": await ask(second, LOOKS["interfaces"]),
        "blocked_routes": await ask(second, "len(open('/proc/net/route').readlines()) - 1"),
    }
    children = [pid for pid in os.listdir("/proc") if pid.isdigit() and is_sleep(pid)]  # noqa: PTH208
    first.kill()
    await first.wait()
    found["children"] = len(children)
    found["survivors"] = len([pid for pid in children if is_sleep(pid)])
    await first.close()
    await second.close()
    return found


def is_sleep(pid: str) -> bool:
    """Tell whether a process of this machine is one of the background sleeps started inside."""
    try:
        command = Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return False
    return command in {b"sleep\0%d\0" % seconds for seconds in BACKGROUND}


if __name__ == "__main__":
    try:
        Path(sys.argv[1], "token").write_text("secret")
        print(json.dumps(asyncio.run(look(*sys.argv[1:]))))  # noqa: T201
    except RuntimeUnavailableError as unavailable:
        print(json.dumps({"unavailable": str(unavailable)}))  # noqa: T201
