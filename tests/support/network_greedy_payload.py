"""What a hostile fork of a template does with capabilities over its network in the world of `network_world`, as a program: `DATA_DIR`.

It keeps what entering its namespaces gave it, rearranges its own end, and prints what it reached as one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.support.forked_runtime import call, function, make_forked, start_loaded
from tests.support.network_payload import OWN_ADDRESS, PLACES
from tests.support.network_world import OFFICE, SERVER, WEB
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.worker.core.network import AllowList
from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.options import RuntimeOptions

_SOURCE = """
import socket, struct
from offload.runner import template
from offload.worker.runtimes.rtnetlink import Links
template._give_up_capabilities = template.install_filter = lambda *_: None
enter, entered = template._enter, []

def enter_all_but_the_last(fd):
    entered.append(fd)
    if len(entered) < 8:  # the last is a user namespace without rights over the others
        enter(fd)

template._enter = enter_all_but_the_last

def capabilities():
    with open("/proc/self/status") as file:
        return int(dict(line.split(":\\t") for line in file.read().splitlines())["CapEff"], 16)

def attempt(action):
    try:
        return action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def add_address(address):
    links = Links()
    links.add_address(socket.if_nametoindex("eth0"), address, 30)
    return "added"

def connect(host, port, source=""):
    bound = (source, 0) if source else None
    with socket.create_connection((host, port), 2, bound) as connection:
        return connection.recv(64).decode()

def send_as(source, host):
    # A whole packet of one's own: IP without options, and UDP to the echo service without a checksum.
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        head = struct.pack("!BBHHHBBH4s4s", 69, 0, 32, 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(host))
        raw.sendto(head + struct.pack("!HHHH4s", 7777, 7, 12, 0, b"echo"), (host, 0))
        return "sent"
"""
_ALLOWED = AllowList(("10.20.0.0/16",))
# The neighbour may reach everything, and hears what is answered to its address.
_LISTEN = (
    "__import__('builtins').__dict__.setdefault('kept', (lambda s: [s.bind(('', 7777)), s.settimeout(1), s][2])"
    "(__import__('socket').socket(2, 2))).fileno() > 0"
)
_ECHO = f"[__import__('builtins').kept.sendto(b'own', ({WEB!r}, 7)), __import__('builtins').kept.recv(16).decode()][1]"
_HEAR = "__import__('builtins').kept.recv(16).decode()"


async def look(data_dir: str) -> dict[str, object]:
    """Attack from a forked container, with another one beside it."""
    forking = make_forked(RuntimeOptions(data_dir, guest_argv=GUEST_ARGV, platform=(SERVER,)))
    runtime = forking._runtime
    neighbour = await runtime.start(a_spec("ct-neighbour"))
    address = str(await ask(neighbour, OWN_ADDRESS))
    await ask(neighbour, _LISTEN)
    spec = a_spec("ct-greedy", allowed=_ALLOWED)
    template = await start_loaded(runtime, spec, function(_SOURCE))
    greedy = await template.fork(spec)

    async def attempt(expression: str) -> object:
        return await call(greedy, f"attempt(lambda: {expression})")

    found: dict[str, object] = {
        "capabilities": await attempt("capabilities()"),
        "office_before": await attempt(f"connect({OFFICE!r}, 80)"),
        "web_before": await attempt(f"connect({WEB!r}, 80)"),
        "neighbour": await attempt(f"connect({address!r}, 8000)"),
        "neighbour_heard_its_own": await ask(neighbour, _ECHO),
        "add_address": await attempt(f"add_address({address!r})"),
        "web_as_the_neighbour": await attempt(f"connect({WEB!r}, 80, {address!r})"),
        "send_as_the_neighbour": await attempt(f"send_as({address!r}, {WEB!r})"),
        "neighbour_heard": await ask(neighbour, _HEAR),
    }
    for name, (host, port) in PLACES.items():
        found[name] = await attempt(f"connect({host!r}, {port})")
    await template.close()
    await neighbour.close()
    await forking.close()
    return found


if __name__ == "__main__":
    try:
        print(json.dumps(asyncio.run(look(*sys.argv[1:]))))  # noqa: T201
    except RuntimeUnavailableError as unavailable:
        print(json.dumps({"unavailable": str(unavailable)}))  # noqa: T201
