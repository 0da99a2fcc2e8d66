"""The machine that attempts are made on: its files, processes and services are bait, in network and mount namespaces of its own."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import select
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What goes before a command so that it finds itself on such a machine.
IN_A_WORLD = ("unshare", "--net", "--mount", "--uts", "--ipc", "--propagation", "slave", "--")

MACHINE, MACHINE6, METADATA = "10.99.0.1", "fd00:99::1", "169.254.169.254"
ANSWERED = "10.77.0.1"
_SERVICE_PORT = 4321
_NAMES = {
    b"rebind": METADATA,
    b"loop": "127.0.0.1",
    b"machine": MACHINE,
    b"alive": ANSWERED,
}
_SLOW = b"slow"
# For the kernel to end what was in a container, on a machine that is busy.
_PATIENCE_SECONDS = 60.0

_IPC_CREAT, _IPC_RMID = 0o1000, 0

_libc = ctypes.CDLL(None, use_errno=True)


class _Bait(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"bait")


class _Streams(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 2048
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Local(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _Datagrams(socketserver.UDPServer):
    max_packet_size = 4096


class _Names(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, sock = self.request
        answer = _answer(query)
        if answer:
            sock.sendto(answer, self.client_address)


class _NameStreams(socketserver.BaseRequestHandler):
    """Keeps a connection for as long as the other end does."""

    def handle(self) -> None:
        while self.request.recv(4096):
            pass


def _answer(query: bytes) -> bytes:
    labels = query[12:].split(b"\0", 1)[0]
    if _SLOW in labels:
        return b""
    head = query[:2] + b"\x81\x80\0\1"
    for name, address in _NAMES.items():
        if name in labels and query[12 + len(labels) + 2] == 1:
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x05\0\x04" + socket.inet_aton(address)
            return head + b"\0\1" + bytes(4) + query[12:] + record
    return head + bytes(6) + query[12:]


@dataclass
class World:
    """What there is to be found, by the names that attempts know it by."""

    folder: Path
    facts: dict[str, object] = field(default_factory=dict)
    canaries: dict[Path, str] = field(default_factory=dict)

    @property
    def is_unharmed(self) -> bool:
        """Whether what no attempt may change is as it was."""
        return all(path.read_text() == text for path, text in self.canaries.items())


@contextlib.contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """Lay out the bait for the length of the block. Needs `IN_A_WORLD`, and root."""
    world = World(folder)
    with contextlib.ExitStack() as undo:
        _lay_network(folder)
        _lay_files(world, undo)
        _lay_processes(world, undo)
        _lay_services(world, undo)
        world.canaries[Path("/proc/sys/kernel/core_pattern")] = Path(
            "/proc/sys/kernel/core_pattern"
        ).read_text()
        world.canaries[Path("/proc/sys/kernel/hostname")] = socket.gethostname() + "\n"
        yield world


def _lay_network(folder: Path) -> None:
    resolv = folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    for command in (
        "ip link set lo up",
        f"ip address add {MACHINE}/32 dev lo",
        f"ip address add {METADATA}/32 dev lo",
        "ip link add out0 type veth peer name out1",
        "ip link set out0 up",
        "ip link set out1 up",
        "ip address add 10.98.255.254/16 dev out0",
        f"mount --bind {resolv} /etc/resolv.conf",
    ):
        subprocess.run(command.split(), check=True)
    subprocess.run(["ip", "address", "add", f"{MACHINE6}/128", "dev", "lo"], check=False)


def _lay_files(world: World, undo: contextlib.ExitStack) -> None:
    secret, opened = world.folder / "secret", Path(tempfile.mktemp(prefix="offload-attack-open-"))  # noqa: S306 - a name for bait
    shared = Path("/dev/shm", opened.name)  # noqa: S108 - it is to be found
    for path, mode in ((secret, 0o600), (opened, 0o644), (shared, 0o666)):
        path.write_text("the host's own\n")
        path.chmod(mode)
        undo.callback(path.unlink, missing_ok=True)
    world.canaries[secret] = "the host's own\n"
    key = secrets.randbits(30) | 1
    memory = _libc.shmget(key, 4096, _IPC_CREAT | 0o666)
    undo.callback(_libc.shmctl, memory, _IPC_RMID, None)
    world.facts |= {
        "secret_file": str(secret),
        "open_file": str(opened),
        "shared_file": str(shared),
        "shm_key": key,
        "shown_of_root": [
            Path(prefix).resolve().parts[2]
            for prefix in (sys.prefix, sys.base_prefix)
            if Path(prefix).resolve().is_relative_to("/root")
        ],
    }


def _lay_processes(world: World, undo: contextlib.ExitStack) -> None:
    victim = subprocess.Popen(
        ["token-of-the-host", "100000"], executable="sleep", env={"HOSTS_TOKEN": "secret"}
    )
    undo.callback(victim.wait)
    undo.callback(victim.kill)
    world.facts |= {
        "victim_pid": victim.pid,
        "left_behind": 1_000_000 + os.getpid(),
        "marker": str(world.folder / "exploded"),
    }


def _lay_services(world: World, undo: contextlib.ExitStack) -> None:
    name, path = f"offload-attack-{secrets.token_hex(4)}", f"/run/offload-attack-{os.getpid()}.sock"
    servers = [
        _Streams(("::", _SERVICE_PORT), _Bait),
        _Streams(("::", 80), _Bait),
        _Local("\0" + name, _Bait),
        _Local(path, _Bait),
        _Datagrams(("127.0.0.1", 53), _Names),
        _Streams(("::", 53), _NameStreams),
    ]
    undo.callback(Path(path).unlink, missing_ok=True)
    Path(path).chmod(0o666)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        undo.callback(server.server_close)
        undo.callback(server.shutdown)
    world.facts |= {
        "service_port": _SERVICE_PORT,
        "machine_address": MACHINE,
        "machine_address6": MACHINE6,
        "abstract_name": name,
        "run_socket": path,
        "engine_sockets": [path],
    }


def token_facts(token: str) -> dict[str, object]:
    """Tell how to know a token by sight, without telling it."""
    return {"token_sha256": hashlib.sha256(token.encode()).hexdigest()}


def is_left_behind(seconds: int, *, has_walls: bool) -> bool:
    """Tell whether a process that sleeps for so long outlives its container, and end it."""
    deadline = time.monotonic() + (_PATIENCE_SECONDS if has_walls else 0.0)
    while pids := _sleepers(seconds):
        if time.monotonic() > deadline:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            return True
        select.select([], [], [], 0.02)
    return False


def _sleepers(seconds: int) -> list[int]:
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if command.read_bytes() == b"sleep\0%d\0" % seconds:
                found.append(int(command.parent.name))
    return found
