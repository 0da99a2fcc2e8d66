"""What containers of each sandbox reach under each network policy, seen from inside, in a world made of network namespaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.findings import found_by
from tests.support.network_world import METADATA, OFFICE, OTHER_WEB, WEB
from tests.support.ordinary_user import OrdinaryUser, an_ordinary_user

_ROOT = Path(__file__).resolve().parents[2]
_WORLD = str(_ROOT / "tests" / "support" / "network_world.py")
_PAYLOAD = str(_ROOT / "tests" / "support" / "network_payload.py")
_USER = "offload-netizen"
_SECONDS = 240
_AT_ONCE = 3

Findings = dict[str, dict[str, object]]
World = tuple[str, str]

_POLICIES = ("full", "blocked", "listed", "greedy")
_NEVER = (
    "server",
    "machine",
    "machines_other",
    "machines_loopback",
    *(f"metadata_{a}" for a in METADATA),
)


def _run(become: tuple[str, ...], python: str, *words: str) -> Findings:
    world = ("unshare", "--net", "--mount", "--propagation", "private", sys.executable, _WORLD)
    found: Findings = found_by([*world, *become, python, _PAYLOAD, *words], _SECONDS)
    if not found["capabilities"]["holds_allow_lists"]:
        pytest.skip(str(found["capabilities"]["shared_network"]))
    return found


_WORLDS = (
    ("bubblewrap", "this user"),
    ("bubblewrap", "an ordinary user"),
    ("bubblewrap", "an ordinary user with slirp4netns"),
    ("bubblewrap", "root behind a firewall"),
    ("forked", "this user"),
    ("forked", "an ordinary user"),
    ("gvisor", "this user"),
    ("gvisor", "an ordinary user"),
    ("docker", "this user"),
    ("docker", "root behind its firewall"),
)


@pytest.fixture(scope="module")
def looks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[World, Future[Findings]]]:
    """Look around in the worlds that tests ask for, in some at the same time: nearly all of it is waiting for no answer."""
    tests = [item for item in request.session.items if item.nodeid.startswith(request.node.nodeid)]
    asked = {item.callspec.params["found"]: None for item in tests if hasattr(item, "callspec")}
    with contextlib.ExitStack() as held, ThreadPoolExecutor(_AT_ONCE) as pool:
        user = pool.submit(held.enter_context, an_ordinary_user(_USER))
        folders = {world: str(tmp_path_factory.mktemp("data")) for world in asked}
        yield {world: pool.submit(_look, world, folders[world], user) for world in asked}
        pool.shutdown(cancel_futures=True)


def _look(world: World, data_dir: str, ordinary: Future[OrdinaryUser]) -> Findings:
    runtime, who = world
    if shutil.which("ip") is None:
        pytest.skip("the world is made by iproute2")
    if who == "root behind a firewall":
        if shutil.which("nft") is None or os.getuid() != 0:
            pytest.skip("only root has a firewall; needs nftables")
        return _run(("--dropping",), sys.executable, data_dir, runtime)
    if who in ("this user", "root behind its firewall"):
        options = () if who == "this user" else ("bridged",)
        return _run((), sys.executable, data_dir, runtime, *options)
    options = ()
    if who == "an ordinary user with slirp4netns":
        stack = shutil.which("slirp4netns")
        if stack is None:
            pytest.skip("slirp4netns is missing (apt install slirp4netns)")
        options = (stack,)
    user = ordinary.result()
    own_folder = f"{user.home}/{Path(data_dir).name}"
    subprocess.run([*user.become, "mkdir", own_folder], check=True)
    return _run(user.become, user.python, own_folder, runtime, *options)


@pytest.fixture(scope="module", params=_WORLDS, ids=", ".join)
def found(request: pytest.FixtureRequest, looks: dict[World, Future[Findings]]) -> Findings:
    """Look around once per sandbox and kind of user; every test reads what was found."""
    return looks[request.param].result()


def _failed(answer: object) -> bool:
    return isinstance(answer, str) and "rror: " in answer


def test_an_open_network_reaches_the_internet_and_the_office(found: Findings) -> None:
    full = found["full"]

    assert [full[name] for name in ("web", "other_web", "office")] == [WEB, OTHER_WEB, OFFICE]
    assert full["name_other.example.com"] == OTHER_WEB
    assert full["datagram"] == "echo"


@pytest.mark.parametrize("policy", _POLICIES)
@pytest.mark.parametrize("place", _NEVER)
def test_metadata_the_platform_and_the_machine_itself_are_never_reached(
    found: Findings, policy: str, place: str
) -> None:
    assert _failed(found[policy][place])


@pytest.mark.parametrize("policy", _POLICIES)
def test_metadata_is_not_reached_by_datagrams_either(found: Findings, policy: str) -> None:
    assert _failed(found[policy]["metadata_datagram"])


@pytest.mark.parametrize("policy", _POLICIES)
@pytest.mark.parametrize("name", ["rebound", "machine"])
def test_a_name_that_leads_to_a_closed_address_opens_nothing(
    found: Findings, policy: str, name: str
) -> None:
    assert _failed(found[policy][f"name_{name}.below.example.org"])


@pytest.mark.parametrize("policy", _POLICIES)
def test_abstract_sockets_of_the_machine_are_not_there(found: Findings, policy: str) -> None:
    assert _failed(found[policy]["abstract"])


def test_a_blocked_network_reaches_nothing_and_resolves_nothing(found: Findings) -> None:
    blocked = found["blocked"]

    assert blocked["interfaces"] == ["lo"]
    reached = {
        name: answer
        for name, answer in blocked.items()
        if name in ("web", "other_web", "office", "gateway", "datagram") or name.startswith("name_")
    }
    assert [name for name, answer in reached.items() if not _failed(answer)] == []
    assert _failed(blocked["big_name"])


def test_an_allow_list_reaches_its_networks_and_what_its_names_lead_to(found: Findings) -> None:
    listed = found["listed"]

    assert listed["office"] == OFFICE
    assert listed["name_allowed.example.org"] == WEB
    assert listed["name_deep.in.below.example.org"] == OTHER_WEB
    assert listed["web_after_its_name"] == WEB


def test_an_allow_list_reaches_nothing_else(found: Findings) -> None:
    listed = found["listed"]

    closed = ("web", "other_web", "gateway", "name_other.example.com", "name_below.example.org")
    assert [name for name in closed if not _failed(listed[name])] == []


def test_a_list_of_networks_alone_resolves_no_name(found: Findings) -> None:
    assert _failed(found["greedy"]["name_allowed.example.org"])
    assert found["greedy"]["web"] == WEB


@pytest.mark.parametrize("policy", ["full", "listed"])
def test_an_answer_too_long_for_a_datagram_comes_over_a_stream(
    found: Findings, policy: str
) -> None:
    if found["capabilities"]["name"] == "gvisor":
        pytest.skip("in Debian's gVisor the C library does not ask again over a stream")
    assert found[policy]["big_name"] == 60


@pytest.mark.parametrize("policy", _POLICIES)
@pytest.mark.parametrize("look", ["raw", "packets", "netfilter"])
def test_no_raw_packet_can_be_sent_and_no_packet_filter_asked(
    found: Findings, policy: str, look: str
) -> None:
    assert _failed(found[policy][look])


@pytest.mark.parametrize("policy", _POLICIES)
@pytest.mark.parametrize("look", ["change_address", "change_neighbour"])
def test_addresses_and_neighbours_cannot_be_changed(
    found: Findings, policy: str, look: str
) -> None:
    assert found[policy][look] != 0


@pytest.mark.parametrize("policy", ["full", "listed", "greedy"])
def test_a_container_has_a_link_of_its_own_and_knows_its_own_name(
    found: Findings, policy: str
) -> None:
    assert found[policy]["interfaces"] == ["eth0", "lo"]
    assert found[policy]["hostname"] == ["offload", "127.0.0.1"]


@pytest.mark.parametrize("policy", _POLICIES)
def test_servers_on_the_loopback_work_inside(found: Findings, policy: str) -> None:
    assert found[policy]["loopback_server"] == "127.0.0.1"
    # The engine turns IPv6 off.
    assert found[policy]["loopback_server_6"] == "::1" or found["capabilities"]["name"] == "docker"


@pytest.mark.parametrize("policy", _POLICIES)
def test_there_is_no_way_around_by_ipv6(found: Findings, policy: str) -> None:
    assert _failed(found[policy]["address_6"])


def test_containers_do_not_reach_one_another_nor_their_router(found: Findings) -> None:
    neighbours = found["neighbours"]

    assert (neighbours["listening"], neighbours["itself"]) == (True, True)
    assert _failed(neighbours["neighbour"])
    assert _failed(neighbours["router"])
