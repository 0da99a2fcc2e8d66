"""What every template promises to the containers that are forked from it, and to the worker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.support.closing import close_now
from tests.support.forked_runtime import Evaluating, call, function, start_loaded
from tests.support.runtime_guest import a_spec, open_fds

from offload.wire import guest
from offload.worker.ports import ContainerStartError, LocalImage, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.options import RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from offload.worker.ports import RootImage


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


def run(scenario: Callable[[], Coroutine[object, object, object]]) -> object:
    async def in_time() -> object:
        async with asyncio.timeout(30):
            return await scenario()

    return asyncio.run(in_time())


def test_containers_of_one_template_share_no_randomness(runtime: BubblewrapRuntime) -> None:
    source = "import os, random; random.random()"
    draws = "(random.random(), os.urandom(8))"

    async def scenario() -> list[object]:
        template = await start_loaded(runtime, a_spec(), function(source))
        containers = [await template.fork(a_spec(f"ct-{number}")) for number in range(3)]

        drawn = [await call(container, draws) for container in containers]

        await template.close()
        return drawn

    drawn = run(scenario)
    assert isinstance(drawn, list)
    assert len({pair[0] for pair in drawn}) == len({pair[1] for pair in drawn}) == 3


def test_a_container_that_ends_by_itself_at_once_is_no_failure_of_its_fork(
    runtime: BubblewrapRuntime,
) -> None:
    # The second process of its namespace is the container: see the next test.
    source = (
        "import os\nos.register_at_fork(after_in_child=lambda: os.getpid() == 2 and os._exit(3))"
    )

    async def scenario() -> list[int | None]:
        template = await start_loaded(runtime, a_spec(), function(source))

        containers = [await template.fork(a_spec(f"ct-{number}")) for number in range(5)]
        ended = [(await container.wait()).code for container in containers]

        await template.close()
        return ended

    assert run(scenario) == [3] * 5


def test_containers_of_one_template_see_neither_each_other_nor_each_others_files(
    runtime: BubblewrapRuntime,
) -> None:
    look = (
        "(os.getpid(), sorted(n for n in os.listdir('/proc') if n.isdigit()), os.listdir('/tmp'))"
    )

    async def scenario() -> object:
        template = await start_loaded(runtime, a_spec(), function("import os"))
        first = await template.fork(a_spec("ct-1"))
        await call(first, "open('/tmp/mine', 'w').close()")
        second = await template.fork(a_spec("ct-2"))

        seen = await call(second, look)

        await template.close()
        return seen

    assert run(scenario) == (2, ["1", "2"], [])


def test_terminals_and_shared_memory_of_one_container_are_not_anothers(
    runtime: BubblewrapRuntime,
) -> None:
    async def scenario() -> object:
        template = await start_loaded(runtime, a_spec(), function("import os, pty"))
        first = await template.fork(a_spec("ct-1"))
        await call(first, "(pty.openpty(), open('/dev/shm/mine', 'w').close())")
        second = await template.fork(a_spec("ct-2"))

        seen = await call(second, "(os.listdir('/dev/pts'), os.listdir('/dev/shm'))")

        await template.close()
        return seen

    assert run(scenario) == (["ptmx"], [])


def test_a_container_of_a_template_whose_network_is_blocked_has_a_loopback_of_its_own(
    runtime: BubblewrapRuntime,
) -> None:
    listen = "listeners.append(socket.create_server(('127.0.0.1', 4321)))"

    async def scenario() -> list[object]:
        spec = a_spec(block_network=True)
        template = await start_loaded(runtime, spec, function("import socket\nlisteners = []"))

        bound = [
            await call(await template.fork(replace(spec, container_id=f"ct-{number}")), listen)
            for number in range(2)
        ]

        await template.close()
        return bound

    assert run(scenario) == [None, None]


def test_what_an_image_shows_below_tmp_is_seen_in_every_container_and_nothing_else_is(
    runtime: BubblewrapRuntime,
) -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "module.py").write_text("VALUE = 41")
        local = a_spec().image
        assert isinstance(local, LocalImage)
        image = replace(local, read_only_paths=(*local.read_only_paths, name))
        source = f"import os, sys; sys.path.insert(0, {name!r}); import module"
        look = f"(module.VALUE, open({name!r} + '/module.py').read(), os.listdir('/tmp'), os.access({name!r}, os.W_OK))"

        async def scenario() -> object:
            template = await start_loaded(runtime, a_spec(image=image), function(source))
            containers = [await template.fork(a_spec(f"ct-{n}", image=image)) for n in range(2)]
            await call(containers[0], "open('/tmp/mine', 'w').close()")

            seen = await call(containers[1], look)

            await template.close()
            return seen

        assert run(scenario) == (41, "VALUE = 41", [folder.name], False)


def test_a_fork_of_an_images_template_sees_the_image_alone(
    runtime: BubblewrapRuntime, image_root: RootImage
) -> None:
    spec = a_spec(image=image_root)
    look = "(sys.executable, os.listdir('/run/offload'), os.listdir('/run/offload/keeper'), os.path.exists(HOST))"

    async def scenario() -> object:
        template = await start_loaded(runtime, spec, function("import os, sys"))
        container = await template.fork(replace(spec, container_id="ct-1"))

        seen = await call(container, look.replace("HOST", repr(__file__)))

        await template.close()
        return seen

    python, run_folder, keeper, sees_host = run(scenario)  # type: ignore[misc]  # as it looks
    assert (python, sorted(run_folder)) == (image_root.python, ["guest", "keeper"])
    assert (keeper, sees_host) == ([], False)


def test_a_container_outlives_its_template(runtime: BubblewrapRuntime) -> None:
    async def scenario() -> object:
        template = await start_loaded(runtime, a_spec(), function("import os"))
        container = await template.fork(a_spec("ct-1"))

        template.kill()
        await template.wait()
        answer = await call(container, "6 * 7")

        await container.close()
        await template.retire()
        return answer

    assert run(scenario) == 42


def test_an_ended_template_refuses_to_fork(runtime: BubblewrapRuntime) -> None:
    async def scenario() -> str:
        template = await start_loaded(runtime, a_spec(), function("import os"))
        template.kill()
        await template.wait()

        try:
            await template.fork(a_spec("ct-1"))
        except ContainerStartError as error:
            return str(error)
        finally:
            await template.close()
        return ""

    assert "template" in str(run(scenario))


def test_a_template_and_its_containers_leave_no_descriptor(runtime: BubblewrapRuntime) -> None:
    async def scenario() -> tuple[int, int]:
        before = open_fds()
        template = await start_loaded(runtime, a_spec(), function("import os"))
        for number in range(3):
            container = await template.fork(a_spec(f"ct-{number}"))
            await call(container, "1")
            await container.close()
        await template.close()
        await template.close()
        return before, open_fds()

    before, after = run(scenario)  # type: ignore[misc]  # the pair above
    assert after == before


# A thread of no library that is known, as far as one can see from outside.
_NATIVE_THREAD = """
import ctypes
libc, thread = ctypes.CDLL(None), ctypes.c_ulong()
libc.pthread_create(ctypes.byref(thread), None, libc.pause, None)
"""

# Any library will do that has no function to end its threads.
_OLD_OPENMP = f"""
import ctypes, shutil
ctypes.CDLL("libm.so.6")
libm = next(line.split()[-1] for line in open("/proc/self/maps") if "/libm" in line)
ctypes.CDLL(shutil.copy(libm, "/tmp/libgomp-old.so.1"))
{_NATIVE_THREAD}
"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()", "'poller'"),
        ("import socket; kept = socket.socket()", "socket:"),
        ("kept = open('/home/offload/log', 'w')", "/home/offload/log"),
        ("import select; kept = select.epoll()", "eventpoll"),
        (_NATIVE_THREAD, "1 threads that are not Python's"),
        (_OLD_OPENMP, "libgomp-old.so.1 cannot end its own"),
    ],
    ids=["a thread", "a socket", "a file", "a poll", "a native thread", "threads beside an old OpenMP"],
)  # fmt: skip
def test_what_import_time_code_has_started_makes_a_template_unusable(
    runtime: BubblewrapRuntime, source: str, reason: str
) -> None:
    async def scenario() -> str:
        try:
            template = await start_loaded(runtime, a_spec(), function(source))
        except ContainerStartError as error:
            return str(error)
        await template.close()
        return ""

    said = str(run(scenario))
    assert said.startswith(guest.UNFORKABLE)
    assert reason in said


# Four threads say their number, in a team of GNU's OpenMP.
_TEAM = """
import ctypes
openmp, said = ctypes.CDLL("libgomp.so.1"), []
say = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: said.append(openmp.omp_get_thread_num()))
def work():
    said.clear()
    openmp.GOMP_parallel(say, None, 4, 0)
    return sorted(said)
"""

# Two threads multiply, once there is one of OpenBLAS's beside the first.
_PRODUCT = """
import ctypes, os
blas, Doubles = ctypes.CDLL("libopenblas.so.0"), ctypes.c_double * 250_000
def threads():
    return len(os.listdir("/proc/self/task"))
def work():
    before, ones, product = threads(), Doubles(*[1.0] * 250_000), Doubles()
    blas.openblas_set_num_threads(2)
    one, zero = ctypes.c_double(1), ctypes.c_double(0)
    blas.cblas_dgemm(101, 111, 111, 500, 500, 500, one, ones, 500, ones, 500, zero, product, 500)
    return [threads() > before, set(product) == {500.0}]
"""


@pytest.mark.parametrize(
    ("library", "source", "answer"),
    [
        ("libgomp.so.1", _TEAM, [0, 1, 2, 3]),
        ("libopenblas.so.0", _PRODUCT, [True, True]),
    ],
    ids=["GNU's OpenMP", "OpenBLAS"],
)
def test_native_threads_that_import_time_code_used_work_in_each_container(
    runtime: BubblewrapRuntime, library: str, source: str, answer: object
) -> None:
    opens = [sys.executable, "-c", f"import ctypes; ctypes.CDLL({library!r})"]
    if subprocess.run(opens, check=False, capture_output=True).returncode:
        pytest.skip(f"needs {library}")

    async def scenario() -> list[object]:
        template = await start_loaded(runtime, a_spec(), function(f"{source}\nwork()"))
        containers = [await template.fork(a_spec(f"ct-{number}")) for number in range(2)]

        answers = [await call(container, "work()") for container in containers]

        await template.close()
        return answers

    assert run(scenario) == [answer, answer]


def test_an_async_function_has_a_loop_of_its_own_in_each_container(
    runtime: BubblewrapRuntime,
) -> None:
    source = "import asyncio\nasync def answer(text): return await asyncio.sleep(0, text)"

    async def scenario() -> list[object]:
        template = await start_loaded(runtime, a_spec(), Evaluating(source))

        answers = [
            await call(await template.fork(a_spec(f"ct-{number}")), "here") for number in range(2)
        ]

        await template.close()
        return answers

    assert run(scenario) == ["here", "here"]


def test_a_container_is_in_its_own_control_group_before_it_is_handed_over(
    runtime: BubblewrapRuntime,
) -> None:
    if runtime.capabilities.limits_memory != "cgroup":
        pytest.skip("this worker may not make control groups")

    async def scenario() -> object:
        template = await start_loaded(runtime, a_spec(), function("import os"))
        container = await template.fork(a_spec("ct-own-group"))

        await call(container, "1")  # so that the process that made it has ended
        members = [
            len((Path(directory) / "cgroup.procs").read_text().split())
            for directory, _, _ in os.walk("/sys/fs/cgroup")
            if directory.endswith("/ct-own-group")
        ]

        await container.close()
        await template.close()
        return members

    assert set(run(scenario)) == {1}  # type: ignore[arg-type]  # one process in each
