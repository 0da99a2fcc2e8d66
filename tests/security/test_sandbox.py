"""What a container of each sandbox can and cannot do, seen from inside it, for root and for an ordinary user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.findings import found_by
from tests.support.ordinary_user import an_ordinary_user

_SECONDS = 240
_USER = "offload-probe"
_ROOT = Path(__file__).resolve().parents[2]

Findings = dict[str, object]


def _run(argv: list[str]) -> Findings:
    return found_by(argv, _SECONDS)


@pytest.fixture(
    scope="module",
    params=[
        ("bubblewrap", "this user"),
        ("bubblewrap", "an ordinary user"),
        ("forked", "this user"),
        ("forked", "an ordinary user"),
        ("gvisor", "this user"),
        ("gvisor", "an ordinary user"),
        ("docker", "this user"),
    ],
    ids=", ".join,
)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Run the payload once per sandbox and kind of user; every test reads what it found."""
    runtime, who = request.param
    payload = str(_ROOT / "tests" / "support" / "runtime_payload.py")
    if who == "this user":
        options = [request.getfixturevalue("docker_socket")] if runtime == "docker" else []
        data_dir = str(tmp_path_factory.mktemp("data"))
        return _run([sys.executable, payload, data_dir, runtime, *options])
    with an_ordinary_user(_USER) as user:
        data_dir = f"{user.home}/data"
        subprocess.run([*user.become, "mkdir", data_dir], check=True)
        return _run([*user.become, user.python, payload, data_dir, runtime])


def _has_own_network(found: Findings) -> bool:
    capabilities = found["capabilities"]
    assert isinstance(capabilities, dict)
    return bool(capabilities["holds_allow_lists"])


def _machines_interfaces() -> list[str]:
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return sorted(line.split(":")[0].strip() for line in lines)


def _runtime(found: Findings) -> str:
    capabilities = found["capabilities"]
    assert isinstance(capabilities, dict)
    return str(capabilities["name"])


def test_user_code_is_an_unprivileged_user_for_good(found: Findings) -> None:
    status = found["status"]
    assert isinstance(status, dict)

    ids = found["ids"]
    assert isinstance(ids, list)
    # The engine maps no uids: it is the container's own outside too.
    assert ids == [1000, 1000] if _runtime(found) != "docker" else 61184 <= ids[0] <= 65519
    capabilities = {status[name].strip("0") for name in status if name.startswith("Cap")}
    assert capabilities == {""}
    # gVisor has the bit and does not list it.
    assert status.get("NoNewPrivs", "1") == "1"
    assert "NoNewPrivs" in status or _runtime(found) == "gvisor"


@pytest.mark.parametrize("place", ["root", "etc", "dev", "run", "guest"])
def test_the_host_is_read_only(found: Findings, place: str) -> None:
    assert any(
        refusal in str(found[f"write_{place}"])
        for refusal in ("Read-only file system", "Permission denied")
    )


@pytest.mark.parametrize("place", ["core_pattern", "sysctl", "sysrq", "cgroup"])
def test_the_kernel_cannot_be_configured(found: Findings, place: str) -> None:
    assert str(found[f"write_{place}"]).startswith(
        ("PermissionError", "OSError", "FileNotFoundError")
    )


@pytest.mark.parametrize("file", ["kcore", "kallsyms"])
def test_the_kernels_memory_cannot_be_read(found: Findings, file: str) -> None:
    answer = found[f"read_{file}"]

    assert answer == 0 or "Error" in str(answer)


def test_homes_and_other_peoples_files_are_not_there(found: Findings) -> None:
    assert _names(found["homes"]) <= {"offload"} | _way_to_the_interpreter("/home")
    for place, folder in [("root_home", "/root"), ("tmp", "/tmp"), ("var_tmp", "/var/tmp")]:  # noqa: S108
        assert _names(found[place]) <= _way_to_the_interpreter(folder)
    assert found["shm"] == []
    assert found["run"] == ["offload"]


def _names(listed: object) -> set[str]:
    assert isinstance(listed, list)
    return set(listed)


def _way_to_the_interpreter(folder: str) -> set[str]:
    """Name what of a private folder must show all the same: the caller's Python may be below it."""
    shown = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve()]
    return {path.relative_to(folder).parts[0] for path in shown if path.is_relative_to(folder)}


def test_the_platforms_data_is_not_there(found: Findings) -> None:
    assert found["data_dir"] == [] or "FileNotFoundError" in str(found["data_dir"])


def test_the_first_process_tells_no_environment_but_the_containers_own(found: Findings) -> None:
    told = str(found["first_environ"])
    if told.startswith("PermissionError"):  # a fork's first process lets nobody look at it
        return
    variables = told.split("\0")
    names = {variable.partition("=")[0] for variable in variables if variable}

    if _runtime(found) == "bubblewrap":
        assert names == set()
    assert names <= {
        "HOME", "USER", "LOGNAME", "LANG", "PATH", "HOSTNAME", "OFFLOAD_CONTAINER_ID",
        "CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
    }  # fmt: skip


def test_processes_of_the_host_are_not_visible(found: Findings) -> None:
    assert _are_its_own(found, "host_processes")


def test_another_containers_processes_and_files_are_not_visible(found: Findings) -> None:
    assert _are_its_own(found, "other_processes")
    # At most the way to this checkout, where it lies in /tmp itself.
    own = Path(sys.prefix).resolve().parts
    assert found["other_tmp"] in ([], [own[2]] if own[1] == "tmp" else [])


def _are_its_own(found: Findings, name: str) -> bool:
    """Tell whether the processes are the guest and, where there is one, its init."""
    processes = found[name]
    assert isinstance(processes, list)
    count = 1 if _runtime(found) == "gvisor" else 2
    return len(processes) == count and processes[0] == "1" and int(processes[-1]) < 100


def test_no_namespace_and_no_mount_can_be_made_inside(found: Findings) -> None:
    # Those of gVisor are its own, and none of the host's.
    assert found["nested_namespace"] != 0 or _runtime(found) == "gvisor"
    assert found["mount"] != 0


def test_a_blocked_network_is_only_loopback_while_the_default_is_not(found: Findings) -> None:
    assert found["blocked_interfaces"] == ["lo"]
    assert found["blocked_routes"] == 0
    assert found["interfaces"] == (
        ["eth0", "lo"] if _has_own_network(found) else _machines_interfaces()
    )


def test_home_is_private_writable_and_the_working_directory_is_what_was_asked(
    found: Findings,
) -> None:
    assert found["home"] == ["/home/offload", "/", "offload"]
    assert found["home_writable"] == 2


def test_the_guest_finds_its_own_packages_without_an_installation(found: Findings) -> None:
    assert found["imports"] == "offloadcloudpickle"


def test_scratch_is_bounded_in_bytes_and_in_inodes(found: Findings) -> None:
    assert "No space left" in str(found["scratch_bytes"])
    # In gVisor a file is memory of the container, and bounded with it.
    assert "No space left" in str(found["scratch_inodes"]) or _runtime(found) == "gvisor"


def test_a_fork_bomb_stops_at_the_pid_limit(found: Findings) -> None:
    assert "Resource temporarily unavailable" in str(found["forks"])


def test_too_much_memory_ends_in_an_out_of_memory_that_is_told(found: Findings) -> None:
    capabilities, ended = found["capabilities"], found["memory"]
    assert isinstance(capabilities, dict)

    if capabilities["limits_memory"] == "cgroup":
        assert isinstance(ended, dict)
        assert (ended["signal"], ended["out_of_memory"]) == (9, True)
        assert ended["peak_memory_mib"] <= 128
    else:
        assert str(ended).startswith("MemoryError")


def test_core_dumps_are_off_and_descriptors_limited(found: Findings) -> None:
    assert found["core_limit"] == [0, 0]
    assert found["open_files"] == [4096, 4096]


def test_killing_a_container_kills_what_it_left_in_the_background(found: Findings) -> None:
    # The host sees none of gVisor's processes as what they are.
    assert found["children"] == (0 if _runtime(found) == "gvisor" else 2)
    assert found["survivors"] == 0
