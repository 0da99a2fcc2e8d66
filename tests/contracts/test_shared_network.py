"""What a runtime does where its containers have no network of their own, and with lists that nobody has checked."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.ordinary_user import an_ordinary_user, plain_environment
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.wire.abilities import ALLOW_LIST, BLOCK_NETWORK
from offload.worker.core.network import AllowList
from offload.worker.ports import ContainerStartError, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.options import RuntimeOptions

if TYPE_CHECKING:
    from offload.worker.ports import Exit

_INTERFACES = "sorted(line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:])"
_NAMESPACE = "__import__('os').readlink('/proc/self/ns/net')"
_ROUTES = "open('/proc/net/route').read()"
_LIST = AllowList(("10.0.0.0/8",))
_USER = "offload-bridged"
_TELL_MISSING = """
import sys
from offload.worker.runtimes.docker_network import DockerNetwork, describe_docker_network
from offload.worker.runtimes.options import RuntimeOptions
network = DockerNetwork(RuntimeOptions(sys.argv[1]))
print(describe_docker_network(network.missing, "bridge"))
"""


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


def test_on_an_engines_bridge_only_blocking_is_held(tmp_path: Path, docker_socket: str) -> None:
    async def look() -> None:
        bridged = await runtime.start(a_spec("ct-bridged"))
        blocked = await runtime.start(a_spec("ct-blocked", block_network=True))

        assert await ask(bridged, _INTERFACES) == ["eth0", "lo"]
        assert "eth0" in str(await ask(bridged, _ROUTES))
        assert await ask(blocked, _INTERFACES) == ["lo"]
        with pytest.raises(ContainerStartError, match="--host-network"):
            await runtime.start(a_spec("ct-listed", allowed=_LIST))
        await runtime.close()

    options = RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV, docker_socket=docker_socket)
    runtime = DockerRuntime(replace(options, host_network=True))
    asyncio.run(look())

    assert "on the engine's bridge" in runtime.capabilities.shared_network
    assert BLOCK_NETWORK in runtime.capabilities.abilities
    assert ALLOW_LIST not in runtime.capabilities.abilities


def test_an_ordinary_users_worker_says_that_it_leaves_an_engines_containers_on_the_bridge() -> None:
    with an_ordinary_user(_USER) as user:
        said = subprocess.run(
            [*user.become, user.python, "-c", _TELL_MISSING, user.home],
            env=plain_environment(user.home),
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )

    assert "on the engine's bridge" in said.stdout
    assert "run the worker as root" in said.stdout


def test_a_container_whose_link_cannot_be_made_ends_before_its_guest_begins_and_says_why(
    tmp_path: Path, docker_socket: str
) -> None:
    async def scenario() -> Exit:
        container = await runtime.start(a_spec("ct-wrong", allowed=AllowList(("2001:db8::/32",))))

        ended = await container.wait()

        await container.close()
        await runtime.close()
        return ended

    options = RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV, docker_socket=docker_socket)
    runtime = DockerRuntime(options)
    if runtime.capabilities.shared_network:
        asyncio.run(runtime.close())
        pytest.skip(runtime.capabilities.shared_network)

    ended = asyncio.run(scenario())

    assert ended.detail.startswith("no network for the container: ")


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
