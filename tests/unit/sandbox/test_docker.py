"""What the Docker Engine is told of a container."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace

from tests.support.runtime_guest import a_spec

from offload.worker.sandbox.docker import (
    NO_NETWORK,
    OWN_NETWORK,
    DockerSandbox,
    RootEntry,
    creation,
    root_image,
)
from offload.worker.sandbox.view import HostFacts, HostPath, Shown

FACTS = HostFacts(
    data_dir="/var/lib/offload",
    hidden=tuple(HostPath(path, path) for path in ("/home", "/var/lib/offload", "/nowhere/below")),
    masked_files=("/proc/kcore",),
    masked_dirs=("/sys/firmware",),
    always_shown=(),
)
ROOT = (
    RootEntry("bin", "usr/bin"),
    *(RootEntry(name) for name in ("data", "home", "proc", "tmp", "usr", "var")),
)


def a_sandbox(**changes: object) -> DockerSandbox:
    sandbox = DockerSandbox(
        spec=a_spec(),
        facts=FACTS,
        root=ROOT,
        mounts_below=(),
        shown=(Shown("/home/ann/venv", "/home/ann/venv"),),
        guest=(Shown("/opt/offload", "/run/offload/guest/offload"),),
        door_dir="/tmp/doors/ct-1",  # noqa: S108
        uid=61200,
        working_dir="/",
        environment={"HOME": "/home/offload"},
        command=("/usr/bin/python3",),
        network="bridge",
        owner="me",
    )
    return replace(sandbox, **changes)  # type: ignore[arg-type]


def host_config(sandbox: DockerSandbox) -> dict[str, object]:
    config = creation(sandbox, "offload-view:1")["HostConfig"]
    assert isinstance(config, dict)
    return config


def binds(sandbox: DockerSandbox) -> dict[str, str]:
    mounts = host_config(sandbox)["Mounts"]
    assert isinstance(mounts, list)
    assert all(mount["ReadOnly"] for mount in mounts)
    return {mount["Target"]: mount["Source"] for mount in mounts}


def test_directories_of_the_root_are_shown_but_hidden_ones_and_the_kernels() -> None:
    shown = binds(a_sandbox())

    assert {path for path in shown if path.count("/") == 1} == {"/data", "/usr", "/var"}


def test_what_is_hidden_below_a_shown_directory_is_covered_read_only() -> None:
    covers = host_config(a_sandbox())["Tmpfs"]

    assert isinstance(covers, dict)
    assert covers["/var/lib/offload"].startswith("ro,")
    assert "/home" not in covers
    assert "/nowhere/below" not in covers


def test_a_mount_of_the_host_below_what_is_shown_is_made_read_only_itself() -> None:
    below = ("/data/lake", "/home/ann/other", "/home/ann/venv/cache", "/var/lib/offload/blobs")

    shown = binds(a_sandbox(mounts_below=below))

    assert shown["/data/lake"] == "/data/lake"
    assert shown["/home/ann/venv/cache"] == "/home/ann/venv/cache"
    assert not {"/home/ann/other", "/var/lib/offload/blobs"} & set(shown)


def test_the_image_is_the_roots_directories_and_links_and_is_named_by_them() -> None:
    name, content = root_image(ROOT)

    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        links = {member.name: member.linkname for member in tar if member.issym()}
        modes = {member.name: member.mode for member in tar}
    assert links == {"bin": "usr/bin"}
    assert modes["tmp"] == 0o1777
    assert root_image(ROOT)[0] == name
    assert root_image(ROOT[1:])[0] != name


def test_no_privilege_is_given_and_every_limit_set() -> None:
    config = host_config(a_sandbox(spec=a_spec(memory_mib=256, pids=64, cpu_milli=500)))

    assert config["CapDrop"] == ["ALL"]
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert config["ReadonlyRootfs"]
    assert config["Memory"] == config["MemorySwap"] == 256 << 20
    assert (config["PidsLimit"], config["CpuShares"]) == (64, 512)


def test_a_blocked_network_is_none() -> None:
    assert host_config(a_sandbox(network=NO_NETWORK))["NetworkMode"] == "none"
    assert "Dns" not in host_config(a_sandbox(network=NO_NETWORK))


def test_a_network_of_its_own_begins_as_none_and_asks_the_router_for_names() -> None:
    config = host_config(a_sandbox(network=OWN_NETWORK))

    assert config["NetworkMode"] == "none"
    assert config["Dns"] == ["198.18.0.1"]
    assert config["ExtraHosts"] == ["offload:127.0.0.1"]


def test_what_the_engine_writes_is_not_covered_by_the_machines_own_mounts() -> None:
    sandbox = a_sandbox(
        root=(*ROOT, RootEntry("etc")), mounts_below=("/etc/resolv.conf", "/etc/own")
    )

    shown = binds(sandbox)

    assert "/etc/own" in shown
    assert "/etc/resolv.conf" not in shown
