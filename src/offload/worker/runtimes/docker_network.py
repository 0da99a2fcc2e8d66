"""How containers of a Docker Engine get to the network: not over the engine's bridge, but through the gateway of all runtimes.

On the engine's bridge containers reach one another, the machine, and what clouds tell machines. So the engine gives them no
network, and the gateway puts `eth0` into their namespace before their runner has what it needs to begin.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import ContainerStartError, RuntimeUnavailableError
from offload.worker.runtimes.ground import Ground
from offload.worker.runtimes.network import ContainerNetwork
from offload.worker.runtimes.readiness import readable

if TYPE_CHECKING:
    from offload.worker.ports import ContainerSpec
    from offload.worker.runtimes.options import RuntimeOptions

NONE = "none"
_BRIDGE, _HOST = "bridge", "host"
_MESSAGE_BYTES = 64 * 1024
_NOT_ROOT = "only root may put a link into the namespaces of an engine's containers"


class DockerNetwork:
    """Connects containers after the engine has started them. Constructing it starts a gateway; blocks.

    `missing` is empty, or says why the engine's own network is used.
    """

    def __init__(self, options: RuntimeOptions, engines: set[str]) -> None:
        self._ground: Ground | None = None
        self._network: ContainerNetwork | None = None
        self.missing = "" if os.getuid() == 0 else _NOT_ROOT
        if not self.missing:
            self._start(options)
        self._engines = _BRIDGE if _BRIDGE in engines and not options.host_network else _HOST

    @property
    def is_own(self) -> bool:
        """Whether containers have a network of their own."""
        return not self.missing

    def mode(self, spec: ContainerSpec) -> str:
        """Return what the engine is to connect a container to. Raises `ContainerStartError`."""
        if spec.block_network or self.is_own:
            return NONE
        if spec.allowed is not None:
            raise ContainerStartError(
                f"{spec.function_name} has an allow-list for its network, which nothing here can hold: {self.missing}"
            )
        return self._engines

    @property
    def shares_machines(self) -> bool:
        """Whether containers are on the machine's own network."""
        return not self.is_own and self._engines == _HOST

    async def connect(self, spec: ContainerSpec, pid: int, engine_id: str) -> None:
        """Give the namespace of a container's first process its `eth0`, where it is to have one. Raises `ContainerStartError`."""
        if self._network is None or self._ground is None or spec.block_network:
            return
        if not self._ground.is_alive:
            self._renew(self._network)
        line = await self._network.serve(spec, self._ground)
        if line is None:
            return
        with line:
            namespace = _open_namespace(pid, engine_id)
            try:
                socket.send_fds(line, [b"{}"], [namespace])
            finally:
                os.close(namespace)
            line.setblocking(False)
            await readable(line.fileno())
            said = json.loads(line.recv(_MESSAGE_BYTES) or b'{"error": "the gateway died"}')
        if "error" in said:
            raise ContainerStartError(f"no network for the container: {said['error']}")

    def close(self) -> None:
        """End the gateway. Idempotent."""
        if self._network is not None:
            self._network.close()
        if self._ground is not None:
            self._ground.close()

    def _start(self, options: RuntimeOptions) -> None:
        try:
            self._ground = Ground()
        except RuntimeUnavailableError as error:
            self.missing = str(error)
            return
        self._network = ContainerNetwork(self._ground, options)
        self._network.wait_until_ready()
        self.missing = self._network.missing
        if self.missing:
            self.close()
            self._ground = self._network = None

    def _renew(self, network: ContainerNetwork) -> None:
        if self._ground is not None:
            self._ground.close()
        try:
            self._ground = Ground()
        except RuntimeUnavailableError as error:
            raise ContainerStartError(str(error)) from error
        network.renew(self._ground)


def _open_namespace(pid: int, engine_id: str) -> int:
    """Return the network namespace of a container's first process. Raises `ContainerStartError`.

    The number is the engine's: behind another pid namespace it would be some other process's here.
    """
    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError as error:
        raise ContainerStartError(
            f"no network for the container: its first process is not there ({error.strerror})"
        ) from error
    if engine_id not in groups:
        os.close(namespace)
        raise ContainerStartError(
            "no network for the container: the engine numbers processes otherwise than this machine; "
            "start the worker with --host-network to use the engine's own networks"
        )
    return namespace
