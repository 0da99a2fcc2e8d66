"""A small world of network namespaces, as a program: `[--dropping] COMMAND…` runs on a machine in it that nothing real can be reached from.

Started by root in network and mount namespaces of its own, which become the machine's. Another namespace is the internet, with
web servers that answer with the address they were reached at, metadata services of clouds, and a name server. On the machine
itself, a service listens on every address, the loopback's among them. All of it ends with the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

MACHINE, MACHINES_OTHER, GATEWAY = "192.0.2.10", "10.77.0.1", "192.0.2.1"
WEB, OTHER_WEB, OFFICE, SERVER = "203.0.113.10", "203.0.113.20", "10.20.0.5", "203.0.113.99"
NAMES = "203.0.113.53"
METADATA = ("169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
HOST_PORT = 9000
BIG_NAME_ADDRESSES = [f"203.0.113.{100 + number}" for number in range(60)]
ZONE = {
    "allowed.example.org": [WEB],
    "deep.in.below.example.org": [OTHER_WEB],
    "below.example.org": [OTHER_WEB],
    "other.example.com": [OTHER_WEB],
    "rebound.below.example.org": [METADATA[0]],
    "machine.below.example.org": [MACHINE],
    "big.below.example.org": BIG_NAME_ADDRESSES,
}

_CLONE_NEWNET, _PR_SET_PDEATHSIG = 0x40000000, 1
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*words: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *words], check=True)


def serve_address(host: str, port: int) -> None:
    """Answer every connection with the address it was made to."""
    server = socket.create_server((host, port), backlog=64)

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.getsockname()[0].encode())

    threading.Thread(target=serve, daemon=True).start()


def serve_datagrams(host: str, port: int) -> None:
    """Send every datagram back."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((host, port))

    def serve() -> None:
        while True:
            data, address = server.recvfrom(2048)
            server.sendto(data, address)

    threading.Thread(target=serve, daemon=True).start()


def answer(query: bytes, *, most_bytes: int) -> bytes:
    """Answer one question from the zone, marked as cut off where it is too long."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    question = query[12 : at + 5]
    addresses = ZONE.get(".".join(labels))
    wanted = addresses if addresses and query[at + 2] == 1 else []
    records = b"".join(
        b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address) for address in wanted
    )
    is_long = 12 + len(question) + len(records) > most_bytes
    count = 0 if is_long else len(wanted)
    flags = bytes([0x81 | (2 if is_long else 0), 0x80 | (0 if addresses else 3)])
    head = query[:2] + flags + b"\0\1" + count.to_bytes(2, "big") + b"\0\0\0\0"
    return head + question + (b"" if is_long else records)


def serve_names() -> None:
    """Be a name server, over datagrams and streams."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((NAMES, 53))
    streams = socket.create_server((NAMES, 53))

    def serve_datagrams_for_ever() -> None:
        while True:
            query, address = datagrams.recvfrom(2048)
            datagrams.sendto(answer(query, most_bytes=512), address)

    def serve_streams() -> None:
        while True:
            connection, _ = streams.accept()
            with connection, connection.makefile("rb") as file:
                query = file.read(int.from_bytes(file.read(2), "big"))
                message = answer(query, most_bytes=65_000)
                connection.sendall(len(message).to_bytes(2, "big") + message)

    threading.Thread(target=serve_datagrams_for_ever, daemon=True).start()
    threading.Thread(target=serve_streams, daemon=True).start()


def be_the_internet(told: int, tell: int) -> None:
    """Take a namespace, say so, wait for the link to the machine, and serve."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        sys.exit("no network namespace")
    os.write(tell, b"x")
    os.read(told, 1)
    ip("link", "set", "lo", "up")
    ip("link", "set", "wan", "up")
    ip("address", "add", f"{GATEWAY}/24", "dev", "wan")
    for address in (WEB, OTHER_WEB, OFFICE, SERVER, NAMES, *METADATA, *BIG_NAME_ADDRESSES):
        ip("address", "add", f"{address}/32", "dev", "lo")
    serve_address("0.0.0.0", 80)  # noqa: S104 - all of this world
    for address in (WEB, *METADATA):
        serve_datagrams(address, 7)
    serve_names()
    os.write(tell, b"x")
    signal.pause()


def be_the_machines_service(tell: int) -> None:
    """Serve on every address of the machine."""
    serve_address("0.0.0.0", HOST_PORT)  # noqa: S104 - all of this machine
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    abstract.bind("\0offload-world-service")
    abstract.listen()
    os.write(tell, b"x")
    signal.pause()


def start(what: object, *fds: int) -> int:
    """Run something in a process that ends with this one."""
    pid = os.fork()
    if pid == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        what(*fds)  # type: ignore[operator]  # a function
        os._exit(1)
    return pid


def main(command: list[str]) -> None:
    """Make the world, run the command in it, and end as it ends."""
    ip("link", "set", "lo", "up")
    if command[0] == "--dropping":  # as Docker's firewall does
        command = command[1:]
        hook = "{ type filter hook forward priority filter; policy drop; }"
        for rule in ("add table ip filter", f"add chain ip filter FORWARD {hook}"):
            subprocess.run(["nft", rule], check=True)
    read_tell, tell = os.pipe()
    told, say = os.pipe()
    internet = start(be_the_internet, told, tell)
    os.read(read_tell, 1)
    ip("link", "add", "wan0", "type", "veth", "peer", "name", "wan", "netns", str(internet))
    ip("address", "add", f"{MACHINE}/24", "dev", "wan0")
    ip("address", "add", f"{MACHINES_OTHER}/24", "dev", "wan0")
    ip("link", "set", "wan0", "up")
    ip("route", "add", "default", "via", GATEWAY)
    os.write(say, b"x")
    os.read(read_tell, 1)
    machine = start(be_the_machines_service, tell)
    os.read(read_tell, 1)
    resolv_conf = Path("/run/offload-world-resolv.conf")
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    resolv_conf.write_text(f"nameserver {NAMES}\noptions timeout:1 attempts:1\n")
    target = Path("/etc/resolv.conf").resolve()
    if target.is_relative_to("/run"):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    subprocess.run(["mount", "--bind", str(resolv_conf), str(target)], check=True)
    for fd in (read_tell, tell, told, say):
        os.close(fd)
    code = subprocess.run(command, check=False).returncode
    for pid in (internet, machine):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
