"""What containers of one runtime reach in the world of `network_world`, as a program: `DATA_DIR RUNTIME [bridged | STACK]`.

It prints one JSON object: for each kind of policy, what each look gave. Docker's engine is the world's machine's own, without a
bridge unless that is said, and so without its firewall. STACK is the path of a network stack in user space.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, replace

from tests.support.docker_daemon import NoDockerError, docker_daemon
from tests.support.network_world import (
    GATEWAY,
    HOST_PORT,
    MACHINE,
    MACHINES_OTHER,
    METADATA,
    OFFICE,
    OTHER_WEB,
    SERVER,
    WEB,
)
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask
from tests.support.runtime_payload import RUNTIMES

from offload.worker.core.network import AllowList
from offload.worker.ports import Container, ContainerStartError, Runtime, RuntimeUnavailableError
from offload.worker.runtimes.options import RuntimeOptions

POLICIES: dict[str, dict[str, object]] = {
    "full": {},
    "blocked": {"block_network": True},
    "listed": {
        "allowed": AllowList(("10.20.0.0/16",), ("allowed.example.org", "*.below.example.org"))
    },
    # What is never reached stays so where a list names it.
    "greedy": {"allowed": AllowList(("0.0.0.0/0",), ())},
}
PLACES = {
    "web": (WEB, 80),
    "other_web": (OTHER_WEB, 80),
    "office": (OFFICE, 80),
    "gateway": (GATEWAY, 80),
    "server": (SERVER, 80),
    "machine": (MACHINE, HOST_PORT),
    "machines_other": (MACHINES_OTHER, HOST_PORT),
    "machines_loopback": ("127.0.0.1", HOST_PORT),
    **{f"metadata_{address}": (address, 80) for address in METADATA},
}
NAMES = (
    "allowed.example.org",
    "below.example.org",
    "deep.in.below.example.org",
    "other.example.com",
    "rebound.below.example.org",
    "machine.below.example.org",
)
SOCKET = "__import__('socket')"
OWN_ADDRESS = f"(lambda s: [s.connect(('{WEB}', 7)), s.getsockname()[0]][1])({SOCKET}.socket(2, 2))"
OTHERS = {
    "raw": f"{SOCKET}.socket(2, 3, 1).fileno()",
    "packets": f"{SOCKET}.socket(17, 3, 0x0300).fileno()",
    "netfilter": f"{SOCKET}.socket(16, 3, 12).fileno()",
    "abstract": f"{SOCKET}.socket(1, 1).connect(chr(0) + 'offload-world-service')",
    "interfaces": "sorted(line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:])",
    "hostname": f"[{SOCKET}.gethostname(), {SOCKET}.gethostbyname({SOCKET}.gethostname())]",
    "loopback_server": (
        f"(lambda s: [{SOCKET}.create_connection(s.getsockname(), 2).getpeername()[0], s.close()][0])"
        f"({SOCKET}.create_server(('localhost', 0)))"
    ),
    "loopback_server_6": (
        f"(lambda s: [{SOCKET}.create_connection(s.getsockname()[:2], 2).getpeername()[0], s.close()][0])"
        f"({SOCKET}.create_server(('::1', 0), family=10))"
    ),
    "address_6": f"(lambda s: s.connect(('2001:db8::1', 80)))({SOCKET}.socket(10, 1))",
    "datagram": (
        f"(lambda s: [s.settimeout(2), s.sendto(b'echo', ('{WEB}', 7)), s.recv(9).decode()][2])"
        f"({SOCKET}.socket(2, 2))"
    ),
    "metadata_datagram": (
        f"(lambda s: [s.settimeout(1), s.connect(('{METADATA[0]}', 7)), s.send(b'echo'), s.recv(9).decode()][3])"
        f"({SOCKET}.socket(2, 2))"
    ),
    "big_name": f"len({SOCKET}.gethostbyname_ex('big.below.example.org')[2])",
    "change_address": "__import__('subprocess').run(['ip', 'address', 'flush', 'dev', 'eth0']).returncode",
    "change_neighbour": (
        "__import__('subprocess').run(['ip', 'neighbour', 'replace', '198.18.0.9', 'lladdr', '02:00:00:00:00:01',"
        " 'dev', 'eth0']).returncode"
    ),
}


def connect(host: str, port: int) -> str:
    """Return the expression that connects and returns what is said there."""
    return f"{SOCKET}.create_connection(({host!r}, {port}), 2).recv(64).decode()"


async def look_from(container: Container) -> dict[str, object]:
    """Try to reach everything from one container."""
    found = {name: await ask(container, connect(*place)) for name, place in PLACES.items()}
    found |= {f"name_{name}": await ask(container, connect(name, 80)) for name in NAMES}
    # Only now: what a name has opened is reached by its address, too.
    found["web_after_its_name"] = await ask(container, connect(WEB, 80))
    found |= {name: await ask(container, look) for name, look in OTHERS.items()}
    return found


async def look_at_neighbours(runtime: Runtime) -> dict[str, object]:
    """Try to reach one container from another."""
    first = await runtime.start(a_spec("ct-first"))
    second = await runtime.start(a_spec("ct-second"))
    serve = f"__import__('builtins').__dict__.setdefault('kept', {SOCKET}.create_server(('0.0.0.0', 8000))).fileno() > 0"
    listening = await ask(first, serve)
    address = str(await ask(first, OWN_ADDRESS))
    found = {
        "listening": listening,
        "addresses": [address, await ask(second, OWN_ADDRESS)],
        "itself": await ask(
            first, f"{SOCKET}.create_connection(({address!r}, 8000), 2).fileno() > 0"
        ),
        "neighbour": await ask(second, connect(address, 8000)),
        "router": await ask(second, connect(f"{address.rpartition('.')[0]}.1", 80)),
    }
    await first.close()
    await second.close()
    return found


async def look(kind: str, options: RuntimeOptions) -> dict[str, object]:
    """Look from one container of each policy, from all at the same time: most of it is waiting for no answer."""
    runtime: Runtime = RUNTIMES[kind](options)
    found: dict[str, object] = {"capabilities": asdict(runtime.capabilities)}
    started: dict[str, Container] = {}
    for policy, changes in POLICIES.items():
        try:
            started[policy] = await runtime.start(a_spec(f"ct-{policy}", **changes))
        except ContainerStartError as error:
            found[policy] = {"refused": str(error)}
    seen = await asyncio.gather(*map(look_from, started.values()))
    found |= zip(started, seen, strict=True)
    for container in started.values():
        await container.close()
    found["neighbours"] = await look_at_neighbours(runtime)
    await runtime.close()
    return found


def main(data_dir: str, kind: str, option: str = "") -> dict[str, object]:
    """Look around, with an engine where the runtime wants one."""
    stack = option if option.startswith("/") else None
    options = RuntimeOptions(
        data_dir, guest_argv=GUEST_ARGV, platform=(SERVER,), network_stack=stack
    )
    try:
        if kind != "docker":
            return asyncio.run(look(kind, options))
        with docker_daemon(shares_network=True, has_bridge=option == "bridged") as socket:
            return asyncio.run(look(kind, replace(options, docker_socket=socket)))
    except (RuntimeUnavailableError, NoDockerError) as unavailable:
        return {"unavailable": str(unavailable)}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201
