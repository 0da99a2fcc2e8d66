"""How containers of a Docker Engine get to the network: through a gateway of this worker's, or on the engine's bridge.

With a gateway the engine starts a container in a network namespace in which only the loopback is. The container's first process
shows it at its door, the gateway puts `eth0` into it, and only then does the container get the descriptors that anything of the
user's comes through.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from offload.worker.ports import ContainerStartError, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap_program import describe_shared_network
from offload.worker.runtimes.ground import Ground
from offload.worker.runtimes.network import CHOSEN, ContainerNetwork
from offload.worker.sandbox.docker import BRIDGE, NO_NETWORK, OWN_NETWORK

if TYPE_CHECKING:
    from offload.worker.ports import ContainerSpec
    from offload.worker.runtimes.options import RuntimeOptions

_ROOTS_ALONE = (
    "only a worker of root's may give an engine's containers a network of their own; run the worker as root, "
    'or take runtime="bubblewrap"'
)


class DockerNetwork:
    """Gives an engine's containers their network. Constructing it starts a gateway, which is ready after `wait_until_ready`.

    `missing` is empty, or says why containers have no network of their own.
    """

    def __init__(self, options: RuntimeOptions) -> None:
        self._own: _OwnNetwork | None = None
        if options.host_network:
            self.missing = CHOSEN
        elif os.getuid() != 0:
            self.missing = _ROOTS_ALONE
        else:
            try:
                self._own, self.missing = _OwnNetwork(options), ""
            except RuntimeUnavailableError as error:
                self.missing = str(error)

    def wait_until_ready(self) -> None:
        """Find out whether the gateway works here; blocks."""
        if self._own is not None:
            self.missing = self._own.wait_until_ready()
            if self.missing:
                self.close()

    def mode(self, spec: ContainerSpec, shared: str) -> str:
        """Return the network that a container is started in; `shared` where it has none of its own.

        Raises `ContainerStartError`.
        """
        if spec.block_network:
            return NO_NETWORK
        if self._own is not None:
            return OWN_NETWORK
        if spec.allowed is not None:
            raise ContainerStartError(
                f"{spec.function_name} has an allow-list for its network, which nothing here can hold: {self.missing}"
            )
        return shared

    async def connect(self, spec: ContainerSpec, namespace: int) -> None:
        """Put `eth0` into a container's namespace where it is to have one. Raises `ContainerStartError`."""
        if self._own is None or spec.block_network:
            return
        attaching = asyncio.create_task(self._own.attach(spec, namespace))
        try:
            await asyncio.shield(attaching)
        except asyncio.CancelledError:
            # The gateway's answer would be taken for the next one's.
            await asyncio.wait([attaching])
            attaching.exception()
            raise

    def close(self) -> None:
        """End the gateway, and with it every link of a container. Idempotent."""
        if self._own is not None:
            self._own.close()
            self._own = None


class _OwnNetwork:
    """A gateway on a ground that nothing else is on. Raises `RuntimeUnavailableError`."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._ground = Ground()
        self._network = ContainerNetwork(self._ground, options)

    def wait_until_ready(self) -> str:
        self._network.wait_until_ready()
        return self._network.missing

    async def attach(self, spec: ContainerSpec, namespace: int) -> None:
        if not self._ground.is_alive:
            self._renew_ground()
        await self._network.attach(spec, self._ground, namespace)

    def close(self) -> None:
        self._network.close()
        self._ground.close()

    def _renew_ground(self) -> None:
        """Go on where somebody killed the ground. The links of all that were connected have ended with it."""
        self._ground.close()
        try:
            self._ground = Ground()
        except RuntimeUnavailableError as error:
            raise ContainerStartError(str(error)) from error
        self._network.renew(self._ground)


def describe_docker_network(missing: str, shared: str) -> str:
    """Say what containers without a network of their own can reach; empty where nothing is missing."""
    if not missing or shared != BRIDGE:
        return describe_shared_network(missing)
    return (
        "containers are on the engine's bridge, from where they reach one another, clouds' metadata and what this machine "
        f"offers its network, unless a function sets block_network=True, and no allow-list is taken: {missing}"
    )
