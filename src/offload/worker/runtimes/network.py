"""How a runtime's containers get to the network: through a gateway of their own, or, where there can be none, as the machine does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.worker.ports import ContainerStartError
from offload.worker.runtimes.gateway import (
    FILES,
    Gateway,
    GatewayOptions,
    NetworkUnavailableError,
)
from offload.worker.sandbox.view import Shown

if TYPE_CHECKING:
    import socket

    from offload.worker.ports import ContainerSpec
    from offload.worker.runtimes.ground import Ground
    from offload.worker.runtimes.options import RuntimeOptions
    from offload.worker.sandbox.view import HostFacts

CHOSEN = "this worker was started with --host-network"


class ContainerNetwork:
    """Gives containers their network. Constructing it starts a gateway, which is ready after `wait_until_ready`.

    `missing` is empty, or says why containers share the machine's network.
    """

    def __init__(self, ground: Ground, options: RuntimeOptions) -> None:
        self._options = GatewayOptions(options.platform, options.network_stack)
        self._gateway: Gateway | None = None
        self.missing = CHOSEN if options.host_network else ""
        if not self.missing:
            self._start(ground)

    @property
    def is_own(self) -> bool:
        """Whether containers have a network of their own."""
        return not self.missing

    def wait_until_ready(self) -> None:
        """Find out whether the gateway works here; blocks."""
        if self._gateway is not None:
            try:
                self._gateway.wait_until_ready()
            except NetworkUnavailableError as error:
                self._gateway, self.missing = None, str(error)

    def renew(self, ground: Ground) -> None:
        """Start a gateway on another ground: the last one's has ended with it. Raises `ContainerStartError`."""
        if self._gateway is not None:
            self._gateway.close()
            self._restart(ground)

    async def open(self, spec: ContainerSpec, ground: Ground) -> int | None:
        """Return the namespace a container is started in, as a descriptor that the caller closes.

        None where it is to be the machine's, or where the container makes itself an empty one. Raises `ContainerStartError`.
        """
        if spec.block_network:
            return None
        if self.missing:
            self._require_no_list(spec)
            return None
        return await self._living(ground).take(spec.allowed)

    async def attach(self, spec: ContainerSpec, ground: Ground, namespace: int) -> None:
        """Connect a container that somebody else started in an empty namespace. Raises `ContainerStartError`."""
        if not spec.block_network:
            await self._living(ground).attach(spec.allowed, namespace)

    async def serve(self, spec: ContainerSpec, ground: Ground) -> socket.socket | None:
        """Return what a keeper gets `eth0` by for the containers of a function, where they have one.

        Raises `ContainerStartError`.
        """
        if spec.block_network or self.missing:
            return None
        return await self._living(ground).serve(spec.allowed)

    def names(
        self, spec: ContainerSpec, facts: HostFacts, *, has_own_root: bool
    ) -> tuple[Shown, ...]:
        """Choose what a container with a network of its own is shown in place of the machine's files about names."""
        if spec.block_network or self.missing:
            return ()
        return tuple(
            Shown(
                f"{FILES}/{bind.target.rpartition('/')[2]}",
                bind.target if has_own_root else bind.source,
            )
            for bind in facts.names_shown
        )

    def close(self) -> None:
        """End the gateway. Idempotent."""
        if self._gateway is not None:
            self._gateway.close()

    def _start(self, ground: Ground) -> None:
        try:
            self._gateway = Gateway(ground, self._options)
        except NetworkUnavailableError as error:
            self.missing = str(error)

    def _living(self, ground: Ground) -> Gateway:
        """Return the gateway; another one where that has died, with the links of all that were connected by it."""
        if self._gateway is None or not self._gateway.is_alive:
            return self._restart(ground)
        return self._gateway

    def _restart(self, ground: Ground) -> Gateway:
        try:
            self._gateway = Gateway(ground, self._options)
            self._gateway.wait_until_ready()
        except NetworkUnavailableError as error:
            raise ContainerStartError(f"no network for the container: {error}") from error
        return self._gateway

    def _require_no_list(self, spec: ContainerSpec) -> None:
        if spec.allowed is not None:
            raise ContainerStartError(
                f"{spec.function_name} has an allow-list for its network, which nothing here can hold: {self.missing}"
            )
