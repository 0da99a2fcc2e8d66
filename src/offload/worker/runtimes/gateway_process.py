"""The gateway: the process through which a worker's containers reach the network, and which decides what they reach.

It is a child of the ground and ends with it; with it end the router's namespace, every link of a container, and the machine's
rules for it. `docs/design/network.md` says how the parts fit together.

Two threads, because an ordinary user's process that has left the machine's network cannot go back: the main one is in the
router's namespace, the other one stays *outside*, in the machine's, and opens there what is wanted. Namespaces of containers
are made in threads of their own, which end at once.

Requests and replies are JSON datagrams over SOCK_SEQPACKET sockets: the worker's, which asks for a namespace with `eth0`, or to
have one put into a namespace it has, and one to each keeper, which may only ask for the latter. Standard library only, run with `python -I -S`.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time

# Started as a file, with `-I`: the package it belongs to is found from there.
sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), *[".."] * 3)))  # noqa: PTH100, PTH118, PTH120 - pathlib is slow to import
from offload.worker.core.network import AllowList
from offload.worker.runtimes.gateway_lines import Lines, leave_network, write_setting
from offload.worker.runtimes.gateway_loop import Loop, Outside
from offload.worker.runtimes.gateway_names import NameServer
from offload.worker.runtimes.nftables import Ruleset
from offload.worker.runtimes.rtnetlink import ADDRESS_GROUP, Links
from offload.worker.sandbox.network import (
    NAMES_ADDRESS,
    NET_BITS,
    ROUTERS,
    UPLINK,
    closed_commands,
    container_resolv_conf,
    crowd_rules,
    dropping_chain,
    is_routers,
    machine_rules,
    router_rules,
    uplink_addresses,
)

_MESSAGE_BYTES = 64 * 1024
_LOOPBACK_INDEX = 1
_ETHERNET_MTU = 1500
_STACK_SECONDS = 10.0
_STACK_MTU = 65520
_TICK_MILLISECONDS = 500
_PLATFORM_SECONDS = 60.0
_GO_AROUND = "`apt install passt`, whose network stack in user space forwards nothing"
_MS_BIND, _MNT_DETACH = 4096, 2

_libc = ctypes.CDLL(None, use_errno=True)


class _Gateway:
    def __init__(self, control: socket.socket, order: dict[str, object]) -> None:
        self._control = control
        self._loop = Loop()
        self._outside = Outside()
        self._is_exhausted = False
        hosts = [str(host) for host in order["platform"]]  # type: ignore[attr-defined]  # a list
        self._platform = [host for host in hosts if _is_address(host)]
        machine = self._outside.call(lambda: (Links(), Links(ADDRESS_GROUP)))
        self._machine, self._machine_events = machine
        self._files = str(order["files"])
        _write_files(self._files)
        leave_network()
        self._rules = Ruleset()
        self._rules.change(router_rules())
        try:  # noqa: SIM105 - contextlib would slow this process's start
            self._rules.change(crowd_rules())
        except OSError:
            pass  # see there
        write_setting("ipv4/ip_forward", "1")
        write_setting("ipv6/conf/all/disable_ipv6", "1")
        links = Links()
        links.raise_loopback()
        links.add_address(_LOOPBACK_INDEX, NAMES_ADDRESS, 32)
        stack: list[str] | None = order["stack"]  # type: ignore[assignment]  # see `gateway`
        if order["links"]:
            dropping = self._outside.call(lambda: dropping_chain(Ruleset().read()))
            if not dropping:
                stack = None
            elif stack is None:
                raise OSError(0, f"{dropping} drops what this machine forwards: {_GO_AROUND}")
        mtu = _ETHERNET_MTU if stack is None else _STACK_MTU
        # Whatever the connection needs for as long as it is to hold.
        self._hold = self._connect(links, mtu) if stack is None else self._start_stack(links, stack)
        self._close_addresses()
        self._lines = Lines(self._rules, mtu)
        self._names = NameServer(self._loop, self._outside, self._lines)
        self._loop.watch(self._lines.events_fd, self._lines.on_events)
        self._loop.watch(self._machine_events.socket.fileno(), self._on_machine_event)
        self._loop.watch(control.fileno(), self._obey)
        self._watch_platform(hosts)

    def serve(self) -> None:
        """Obey the worker and the keepers; the ground ends this process."""
        while True:
            is_idle = not self._loop.turn(self._timeout())
            self._names.give_up_late()
            if self._lines.has_learned:
                self._lines.forget_old(time.monotonic())
            if is_idle and self._lines.is_short:
                self._make_ahead()

    def _timeout(self) -> int | None:
        if self._lines.is_short and not self._is_exhausted:
            return 0
        is_timed = self._names.is_waiting or self._lines.has_learned or self._loop.is_timed
        return _TICK_MILLISECONDS if is_timed or self._is_exhausted else None

    def _make_ahead(self) -> None:
        try:
            self._lines.make_ahead()
            self._is_exhausted = False
        except OSError:
            self._is_exhausted = True  # whoever asks is told; it is tried again a little later

    def _obey(self) -> None:
        data, fds, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 1)
        if not data:
            sys.exit()
        request = json.loads(data)
        allowed = _read_allowed(request["allowed"])
        given: list[int] = []
        reply: dict[str, object] = {}
        try:
            if request["attaches"]:
                self._attach(fds, allowed)
            elif fds:
                self._serve_keeper(socket.socket(fileno=fds[0]), allowed)
            else:
                given.append(self._lines.take(allowed))
        except (OSError, ValueError) as error:  # a list that nobody has checked
            reply["error"] = _say(error)
        socket.send_fds(self._control, [json.dumps(reply).encode()], given)
        for fd in given:
            os.close(fd)

    def _attach(self, fds: list[int], allowed: AllowList | None) -> None:
        try:
            self._lines.attach(fds[0], allowed)
        finally:
            for fd in fds:
                os.close(fd)

    def _serve_keeper(self, keeper: socket.socket, allowed: AllowList | None) -> None:
        def attach() -> None:
            try:
                data, fds, _, _ = socket.recv_fds(keeper, _MESSAGE_BYTES, 1)
            except OSError:
                data, fds = b"", []
            if not data:
                self._loop.forget(keeper.fileno())
                keeper.close()
                return
            said = b"{}"
            try:
                self._attach(fds, allowed)
            except (OSError, ValueError, IndexError) as error:
                said = json.dumps({"error": _say(error)}).encode()
            try:  # noqa: SIM105 - contextlib would slow this process's start
                keeper.send(said)
            except OSError:
                pass

        self._loop.watch(keeper.fileno(), attach)

    def _connect(self, links: Links, mtu: int) -> object:
        """Connect the router to the machine by a pair of links, as root may."""
        lock, number = self._outside.call(_reserve_router)
        theirs, own = uplink_addresses(number)
        link = f"offload-{number}"
        router = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        def connect() -> Ruleset:
            self._machine.add_pair((link, 0), (UPLINK, 0), router, mtu)
            index = socket.if_nametoindex(link)
            self._machine.add_address(index, theirs, NET_BITS)
            write_setting(f"ipv6/conf/{link}/disable_ipv6", "1")
            write_setting("ipv4/ip_forward", "1")
            rules = Ruleset()
            rules.change(machine_rules(link, own))
            return rules

        rules = self._outside.call(connect)
        os.close(router)
        uplink = socket.if_nametoindex(UPLINK)
        links.add_address(uplink, own, NET_BITS)
        links.raise_link(uplink)
        links.add_default_route(uplink, theirs)
        return lock, rules

    def _start_stack(self, links: Links, command: list[str]) -> object:
        """Connect the router by a stack in user space, which any user may."""
        words = {"NETNS": _name_namespace(f"{self._files}/router")}
        argv = [words.get(word, word) for word in command]
        process = self._outside.call(
            lambda: subprocess.Popen(  # noqa: S603 - a program of this machine's that the worker has named
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        )
        until = time.monotonic() + _STACK_SECONDS
        while not any(is_routers(address) for address in links.addresses()):
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                said = (process.communicate()[1] or b"").decode(errors="replace").strip()
                raise OSError(
                    0,
                    f"{argv[0]} did not start: {' '.join(said.split())[-500:] or 'it said nothing'}",
                )
            select.select([], [], [], 0.002)
        ended = os.pidfd_open(process.pid)
        # A worker that asks next finds this process dead and starts another.
        self._loop.watch(ended, sys.exit)
        return process

    def _close_addresses(self) -> None:
        own = self._outside.call(self._machine.addresses)
        self._rules.change(closed_commands([*own, *self._platform]))

    def _on_machine_event(self) -> None:
        try:  # noqa: SIM105 - contextlib would slow this process's start
            self._machine_events.read_events()
        except OSError:
            pass  # there were more than the kernel keeps: all addresses are read anyway
        self._close_addresses()

    def _watch_platform(self, hosts: list[str]) -> None:
        """Keep the addresses of the platform's own machines closed, which may change."""
        if all(_is_address(host) for host in hosts):
            return
        wake, woken = os.pipe()
        found: list[list[str]] = []

        def look() -> None:
            while True:
                found[:] = [[address for host in hosts for address in _resolve(host)]]
                os.write(woken, b"x")
                select.select([], [], [], _PLATFORM_SECONDS)

        def on_found() -> None:
            os.read(wake, 4096)
            # A name that cannot be found for the moment keeps its addresses.
            if found[0] and found[0] != self._platform:
                self._platform = found[0]
                self._close_addresses()

        self._loop.watch(wake, on_found)
        self._outside.call(lambda: threading.Thread(target=look, daemon=True).start())


def _reserve_router() -> tuple[socket.socket, int]:
    """Take a number that no other worker on this machine has, until this process ends, however it ends."""
    for number in range(1, ROUTERS):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0offload-router-{number}")
        except OSError:
            lock.close()
            continue
        return lock, number
    raise OSError(0, "every address for routers is in use")


def _name_namespace(path: str) -> str:
    """Give the namespace that this process is in a name, which programs may open that may not look into this process."""
    _libc.umount2(path.encode(), _MNT_DETACH)  # of a gateway before this one
    with open(path, "w"):  # noqa: PTH123 - pathlib would double this process's start time
        pass
    source = b"/proc/thread-self/ns/net"
    if _libc.mount(source, path.encode(), b"", ctypes.c_ulong(_MS_BIND), b"") != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {path}: {os.strerror(number)}")
    return path


def _say(error: Exception) -> str:
    """Return what went wrong; an error of our own has no number."""
    return (isinstance(error, OSError) and not error.errno and error.strerror) or str(error)


def _is_address(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _resolve(host: str) -> list[str]:
    try:
        return sorted(
            {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, socket.AF_INET)}
        )
    except OSError:
        return []


def _read_allowed(request: dict[str, list[str]] | None) -> AllowList | None:
    if request is None:
        return None
    return AllowList(tuple(request["cidrs"]), tuple(request["domains"]))


def _write_files(directory: str) -> None:
    """Write what containers see in place of the machine's own files about names."""
    os.makedirs(directory, exist_ok=True)  # noqa: PTH103 - pathlib would double this process's start time
    for name, machines, change in (
        ("resolv.conf", "/etc/resolv.conf", container_resolv_conf),
        ("hosts", "/etc/hosts", lambda text: text.rstrip("\n") + "\n127.0.0.1 offload\n"),
    ):
        try:
            with open(machines) as file:  # noqa: PTH123 - pathlib would double this process's start time
                text = file.read()
        except OSError:
            text = ""
        with open(f"{directory}/{name}", "w") as file:  # noqa: PTH123 - see above
            file.write(change(text))


def main(fd: int) -> None:
    """Serve the worker on `fd` until this process is ended."""
    control = socket.socket(fileno=fd)
    order = json.loads(control.recv(_MESSAGE_BYTES))
    try:
        gateway = _Gateway(control, order)
    except OSError as error:
        control.send(json.dumps({"error": _say(error)}).encode())
        return
    control.send(b"{}")
    gateway.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
