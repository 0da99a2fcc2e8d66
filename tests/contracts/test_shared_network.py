"""What a runtime does where its containers share the machine's network, and with lists that nobody has checked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.wire.abilities import ALLOW_LIST, BLOCK_NETWORK
from offload.worker.core.network import AllowList
from offload.worker.ports import ContainerStartError, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions

_INTERFACES = "sorted(line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:])"
_NAMESPACE = "__import__('os').readlink('/proc/self/ns/net')"
_LIST = AllowList(("10.0.0.0/8",))


def a_runtime(tmp_path: Path, *, host_network: bool = False) -> BubblewrapRuntime:
    """Make the runtime; skip where this machine has none."""
    try:
        return BubblewrapRuntime(
            RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV, host_network=host_network)
        )
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def machines_namespace() -> str:
    """Return the name of the network namespace that this test is in."""
    return str(Path("/proc/self/ns/net").readlink())


def test_with_the_machines_network_only_blocking_is_held(tmp_path: Path) -> None:
    async def look() -> None:
        shared = await runtime.start(a_spec("ct-shared"))
        blocked = await runtime.start(a_spec("ct-blocked", block_network=True))

        assert await ask(shared, _NAMESPACE) == machines_namespace()
        assert await ask(blocked, _INTERFACES) == ["lo"]
        with pytest.raises(ContainerStartError, match="--host-network"):
            await runtime.start(a_spec("ct-listed", allowed=_LIST))
        await runtime.close()

    runtime = a_runtime(tmp_path, host_network=True)
    asyncio.run(look())

    assert "--host-network" in runtime.capabilities.shared_network
    assert BLOCK_NETWORK in runtime.capabilities.abilities
    assert ALLOW_LIST not in runtime.capabilities.abilities


def test_a_list_that_nobody_has_checked_is_refused_and_the_gateway_goes_on(tmp_path: Path) -> None:
    async def look() -> None:
        for cidr in ("10.0.0.0/8 }; flush ruleset", "2001:db8::/32"):
            with pytest.raises(ContainerStartError, match="no network for the container"):
                await runtime.start(a_spec("ct-wrong", allowed=AllowList((cidr,))))

        container = await runtime.start(a_spec("ct-right", allowed=_LIST))

        assert await ask(container, _INTERFACES) == ["eth0", "lo"]
        assert await ask(container, _NAMESPACE) != machines_namespace()
        await runtime.close()

    runtime = a_runtime(tmp_path)
    if runtime.capabilities.shared_network:
        asyncio.run(runtime.close())
        pytest.skip(runtime.capabilities.shared_network)
    asyncio.run(look())
