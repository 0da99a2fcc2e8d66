"""What a function gains by being hostile where it is imported: in the template that its containers are forked from."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.closing import close_now
from tests.support.forked_runtime import Evaluating, call, function, start_loaded
from tests.support.processes import descendants
from tests.support.runtime_guest import a_spec

from offload.worker.ports import ContainerStartError, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
def attempt(call, *arguments):
    return [call(*arguments), ctypes.get_errno()]
def reading(path):
    try:
        with open(path, "rb") as file:
            return len(file.read(1))
    except OSError as error:
        return type(error).__name__
"""

# A container that keeps what entering its namespaces gave it.
GREEDY = (
    SETUP
    + """
from offload.runner import template
template._give_up_capabilities = template.install_filter = lambda *_: None
"""
)

DENIED = [-1, 1]  # EPERM


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[BubblewrapRuntime]:
    try:
        made = BubblewrapRuntime(RuntimeOptions(data_dir=str(tmp_path)))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    if not made.capabilities.forks_templates:
        close_now(made)
        pytest.skip("this runtime forks no templates here")
    yield made
    close_now(made)


def inside(runtime: BubblewrapRuntime, loaded: Evaluating, *expressions: str) -> list[object]:
    """Evaluate the expressions in one container that is forked from a template of the function."""

    async def scenario() -> list[object]:
        async with asyncio.timeout(30):
            template = await start_loaded(runtime, a_spec(), loaded)
            try:
                container = await template.fork(a_spec("ct-forked"))
                return [await call(container, expression) for expression in expressions]
            finally:
                await template.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    "attack",
    [
        "attempt(libc.unshare, 0x10000000)",
        "attempt(libc.unshare, 0x20000)",
        "attempt(libc.mount, b'x', b'/tmp', b'tmpfs', 0, None)",
        "attempt(libc.umount2, b'/root', 2)",
        "attempt(libc.ptrace, 16, 1, 0, 0)",
    ],
)
def test_import_time_code_can_neither_mount_nor_make_namespaces_nor_debug_the_keeper(
    runtime: BubblewrapRuntime, attack: str
) -> None:
    loaded = function(f"{SETUP}\nfound = {attack}")

    assert inside(runtime, loaded, "found") == [DENIED]


@pytest.mark.parametrize("file", ["environ", "mem", "ns/mnt", "ns/user", "fd"])
def test_import_time_code_cannot_look_into_the_keeper(
    runtime: BubblewrapRuntime, file: str
) -> None:
    loaded = function(f"{SETUP}\nfound = reading('/proc/1/{file}')")

    assert inside(runtime, loaded, "found") == ["PermissionError"]


def test_import_time_code_cannot_end_the_keeper(runtime: BubblewrapRuntime) -> None:
    loaded = function(f"{SETUP}\nos.kill(1, signal.SIGKILL); os.kill(1, signal.SIGTERM)")

    assert inside(runtime, loaded, "6 * 7") == [42]


@pytest.mark.parametrize(
    "attack",
    [
        "attempt(libc.umount2, b'/root', 2)",
        "attempt(libc.umount2, b'/proc/kcore', 2)",
        "attempt(libc.mount, b'none', b'/usr', None, 4096 | 32, None)",
        "attempt(libc.unshare, 0x10000000)",
        "attempt(libc.sethostname, b'x', 1)",
        "attempt(libc.chroot, b'/proc')",
    ],
)
def test_a_container_that_keeps_its_capabilities_can_do_nothing_with_them(
    runtime: BubblewrapRuntime, attack: str
) -> None:
    assert inside(runtime, function(GREEDY), attack) == [DENIED]


@pytest.mark.parametrize("path", ["/proc/1/ns/mnt", "/proc/1/mem", "/proc/1/root/etc/shadow"])
def test_a_container_that_keeps_its_capabilities_finds_no_way_into_its_first_process(
    runtime: BubblewrapRuntime, path: str
) -> None:
    assert inside(runtime, function(GREEDY), f"reading({path!r})") == ["PermissionError"]


def test_hidden_folders_stay_hidden_from_a_container_that_keeps_its_capabilities(
    runtime: BubblewrapRuntime,
) -> None:
    seen = inside(runtime, function(GREEDY), "sorted(os.listdir('/run'))", "os.getuid()")

    assert seen == [["offload"], 1000]


def test_a_template_that_keeps_its_fork_out_of_the_control_group_gets_no_container(
    runtime: BubblewrapRuntime,
) -> None:
    if runtime.capabilities.limits_memory != "cgroup":
        pytest.skip("this worker may not make control groups")
    source = """
import os
write = os.write
os.write = lambda fd, data: 1 if data == b"0" else write(fd, data)
"""

    with pytest.raises(ContainerStartError, match="control group"):
        inside(runtime, function(source), "1")


def test_what_a_template_answers_that_is_no_answer_is_not_believed(
    runtime: BubblewrapRuntime,
) -> None:
    source = (
        SETUP
        + """
import json, socket
forks = socket.socket(fileno=os.dup(7))
for words in (b"x", b"[]", b'{"name": 1}', b'{"name": "another"}', b'{"name": ["ct-forked"]}'):
    forks.send(words)
forks.close()
"""
    )

    assert inside(runtime, function(source), "6 * 7") == [42]


def test_a_template_that_takes_too_much_memory_ends_alone(runtime: BubblewrapRuntime) -> None:
    async def scenario() -> str:
        try:
            await start_loaded(
                runtime, a_spec(memory_mib=64), function("kept = b'x' * (900 << 20)")
            )
        except ContainerStartError as error:
            return f"refused {error}"
        return ""

    assert str(asyncio.run(scenario())).startswith("refused")


def test_the_end_of_the_ground_ends_templates_and_their_containers(
    runtime: BubblewrapRuntime,
) -> None:
    async def scenario() -> tuple[object, object]:
        template = await start_loaded(runtime, a_spec(), function("import os"))
        container = await template.fork(a_spec("ct-forked"))

        runtime._ground.close()
        ended = (await container.wait()).signal, (await template.wait()).signal

        await container.close()
        await template.close()
        return ended

    assert asyncio.run(scenario()) == (9, 9)


def own_cgroups() -> set[str]:
    mine = re.compile(rf"offload-{os.getpid()}-")
    return {
        directory
        for directory, _, _ in os.walk("/sys/fs/cgroup")
        if any(mine.match(part) for part in Path(directory).parts)
    }


def test_a_closed_template_leaves_no_process_and_no_control_group(
    runtime: BubblewrapRuntime,
) -> None:
    groups, processes = own_cgroups(), descendants(os.getpid())

    inside(runtime, function("import os"), "1")

    assert own_cgroups() == groups
    assert descendants(os.getpid()) <= processes
