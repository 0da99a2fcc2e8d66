"""The worker's side of the gateway; see `gateway_process` for what it is and why."""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import ContainerStartError
from offload.worker.runtimes import gateway_process, ground_process
from offload.worker.runtimes.ground import Ground, Spawn
from offload.worker.runtimes.readiness import readable
from offload.worker.sandbox.network import NET_BITS, UPLINK, uplink_addresses

if TYPE_CHECKING:
    from offload.worker.core.network import AllowList

_MESSAGE_BYTES = 64 * 1024
_PATIENCE_SECONDS = 20.0

# In the ground's staging directory: what containers see in place of the machine's own files about names.
FILES = f"{ground_process.STAGING}/network"

_GET_STACK = (
    "an ordinary user's containers need a network stack in user space: `apt install passt` "
    "(or `apt install slirp4netns`)"
)

_TUNNEL = "/dev/net/tun"
_GET_TUNNEL = (
    f"this user may not open {_TUNNEL}, which a network stack in user space needs: as root "
    f"`modprobe tun; chmod 666 {_TUNNEL}`"
)


class NetworkUnavailableError(Exception):
    """Containers cannot have a network of their own here; the message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What a gateway is told when it is started."""

    platform: tuple[str, ...] = ()  # hosts that no container reaches
    stack: str | None = None  # path of pasta or slirp4netns; None: whichever is on PATH


class Gateway:
    """Owns the gateway's process on a ground. Constructing it takes about 0.1 s and blocks.

    Raises `NetworkUnavailableError`.
    """

    def __init__(self, ground: Ground, options: GatewayOptions) -> None:
        self._lock = asyncio.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._start(ground, options, theirs.fileno())
        except BaseException:
            self._socket.close()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether it serves; the links of one that does not are gone."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:  # closed by us
            return False

    async def take(self, allowed: AllowList | None) -> int:
        """Return a network namespace, as a descriptor that the caller closes, whose `eth0` reaches what is allowed.

        With the last process and descriptor of it its link goes, too. Raises `ContainerStartError`.
        """
        fds = await self._ask(allowed, ())
        return fds[0]

    async def attach(self, allowed: AllowList | None, namespace: int) -> None:
        """Put such an `eth0` into a namespace that is there already, and stays the caller's. Raises `ContainerStartError`."""
        await self._ask(allowed, (namespace,), attaches=True)

    async def serve(self, allowed: AllowList | None) -> socket.socket:
        """Return a socket over which a keeper may have such an `eth0` put into namespaces that it has made.

        Raises `ContainerStartError`.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                await self._ask(allowed, (theirs.fileno(),))
            except BaseException:
                ours.close()
                raise
        return ours

    def close(self) -> None:
        """End the gateway; the ground sees to it where this does not. Idempotent."""
        self._socket.close()

    def _start(self, ground: Ground, options: GatewayOptions, their_fd: int) -> None:
        is_root = os.getuid() == 0
        try:
            stack = _stack(options.stack)
        except NetworkUnavailableError:
            if not is_root:
                raise
            stack = None  # where links can be made, root needs none
        order = {
            "links": is_root,
            "stack": stack,
            "platform": options.platform,
            "files": FILES,
        }
        self._socket.send(json.dumps(order).encode())
        null_fd = os.open(os.devnull, os.O_RDWR)
        argv = (str(Path(sys.executable).resolve()), "-I", "-S", gateway_process.__file__, "3")
        try:
            spawned = ground.spawn_now(
                Spawn(argv, os.getuid(), (null_fd, null_fd, 2, their_fd), keeps_capabilities=True)
            )
        except ContainerStartError as error:
            raise NetworkUnavailableError(str(error)) from error
        finally:
            os.close(null_fd)
        os.close(spawned.pidfd)

    def wait_until_ready(self) -> None:
        """Return when it serves; blocks. Raises `NetworkUnavailableError`."""
        data = b""
        if select.select([self._socket], [], [], _PATIENCE_SECONDS)[0]:
            data = self._socket.recv(_MESSAGE_BYTES)
        if data != b"{}":
            self.close()
            said = json.loads(data or b'{"error": "it ended at once or did not answer"}')
            raise NetworkUnavailableError(str(said["error"]))
        self._socket.setblocking(False)

    async def _ask(
        self, allowed: AllowList | None, fds: tuple[int, ...], *, attaches: bool = False
    ) -> list[int]:
        request = {"allowed": None if allowed is None else asdict(allowed), "attaches": attaches}
        async with self._lock:
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], fds)
                await readable(self._socket.fileno())
                data, given, _, _ = socket.recv_fds(self._socket, _MESSAGE_BYTES, 1)
            except OSError as error:
                raise ContainerStartError(_GONE) from error
        for fd in given:
            os.set_inheritable(fd, False)
        if not data:
            raise ContainerStartError(_GONE)
        reply = json.loads(data)
        if "error" in reply:
            raise ContainerStartError(f"no network for the container: {reply['error']}")
        return list(given)


_GONE = "the network's gateway process died; the next container starts another"


def _stack(chosen: str | None) -> list[str]:
    """Return the command of a stack in user space, with NETNS where the namespace belongs. Raises `NetworkUnavailableError`."""
    found = chosen or shutil.which("pasta") or shutil.which("slirp4netns")
    if found is None:
        raise NetworkUnavailableError(_GET_STACK)
    if not os.access(_TUNNEL, os.R_OK | os.W_OK):
        raise NetworkUnavailableError(_GET_TUNNEL)
    gateway, own = uplink_addresses(0)
    if Path(found).name.startswith("slirp4netns"):
        network = f"{gateway.rpartition('.')[0]}.0/24"
        return [
            *(found, "--configure", "--disable-host-loopback", "--disable-dns", "--mtu=65520"),
            *(f"--cidr={network}", "--netns-type=path", "NETNS", UPLINK),
        ]
    return [
        *(found, "--foreground", "--config-net", "--netns-only", "--netns", "NETNS"),
        *("--ns-ifname", UPLINK, "--ipv4-only", "--address", own, "--netmask", str(NET_BITS)),
        *("--gateway", gateway, "--no-map-gw", "--no-dhcp"),
        # It would become nobody, who may not enter root's namespaces.
        *(("--runas", "0") if os.getuid() == 0 else ()),
        # Nothing is passed in, and nothing of the machine's loopback out.
        *("-t", "none", "-u", "none", "-T", "none", "-U", "none"),
    ]
