"""What every runtime promises, whatever it runs containers in."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.support.every_runtime import REAL, WITH_IMAGES, a_runtime
from tests.support.image_runtime import ImageRuntime
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask, open_fds, order, play

from offload.worker.core.values import Gpu
from offload.worker.ports import ContainerStartError, Exit, Runtime, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.fake import FakeRuntime, Script
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.process import ProcessRuntime
from offload.worker.runtimes.readiness import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=["fake", *REAL])
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    with a_runtime(request, tmp_path) as made:
        yield made


def test_the_socket_leads_to_the_guest(runtime: Runtime) -> None:
    async def scenario() -> object:
        container = await runtime.start(a_spec())

        answer = await ask(container, "6 * 7")

        await container.close()
        return answer

    assert asyncio.run(scenario()) == 42


def test_a_guest_whose_worker_hangs_up_ends_by_itself_with_its_own_code(runtime: Runtime) -> None:
    async def scenario() -> Exit:
        container = await runtime.start(a_spec())
        await ask(container, "1")

        container.socket.shutdown(1)
        ended = await container.wait()

        await container.close()
        return ended

    ended = asyncio.run(scenario())
    assert (ended.code, ended.signal) == (0, None)


def test_an_exit_code_is_reported_exactly(runtime: Runtime) -> None:
    async def scenario() -> Exit:
        container = await runtime.start(a_spec())

        ended = await order(container, "__import__('sys').exit(7)")

        await container.close()
        return ended

    ended = asyncio.run(scenario())
    assert (ended.code, ended.signal, ended.out_of_memory) == (7, None, False)


def test_a_killed_container_ends_by_signal_9_for_everyone_who_waits(runtime: Runtime) -> None:
    async def scenario() -> list[Exit]:
        container = await runtime.start(a_spec())
        await ask(container, "1")
        waiting = [asyncio.create_task(container.wait()) for _ in range(3)]

        container.kill()
        container.kill()
        ended = await asyncio.gather(*waiting)

        await container.close()
        return ended

    assert [(ended.code, ended.signal) for ended in asyncio.run(scenario())] == [(None, 9)] * 3


def test_a_container_killed_at_once_ends_too(runtime: Runtime) -> None:
    async def scenario() -> Exit:
        container = await runtime.start(a_spec())

        container.kill()
        ended = await container.wait()

        await container.close()
        return ended

    assert asyncio.run(scenario()).signal == 9


def test_closing_is_idempotent_and_leaves_no_descriptor(runtime: Runtime) -> None:
    async def scenario() -> tuple[int, int]:
        before = open_fds()
        for number in range(3):
            container = await runtime.start(a_spec(f"ct-{number}"))
            await ask(container, "1")
            await container.close()
            container.kill()
            await container.close()
        return before, open_fds()

    before, after = asyncio.run(scenario())
    assert after == before


def test_a_cancelled_start_leaves_nothing(runtime: Runtime) -> None:
    async def scenario() -> tuple[int, int]:
        before = open_fds()
        starting = asyncio.create_task(runtime.start(a_spec()))
        await asyncio.sleep(0)

        starting.cancel()
        results = await asyncio.gather(starting, return_exceptions=True)

        if not isinstance(results[0], BaseException):  # it was done before the cancellation came
            await results[0].close()
        return before, open_fds()

    before, after = asyncio.run(scenario())
    assert after == before


def test_closing_the_runtime_ends_its_containers(runtime: Runtime) -> None:
    async def scenario() -> Exit:
        container = await runtime.start(a_spec())
        await ask(container, "1")

        await runtime.close()
        return await container.wait()

    assert asyncio.run(scenario()).signal == 9


def test_containers_run_side_by_side(runtime: Runtime) -> None:
    async def scenario() -> list[object]:
        containers = [await runtime.start(a_spec(f"ct-{number}")) for number in range(3)]

        answers = await asyncio.gather(*(ask(container, "'here'") for container in containers))

        await asyncio.gather(*(container.close() for container in containers))
        return answers

    assert asyncio.run(scenario()) == ["here"] * 3


@pytest.mark.parametrize("runtime", REAL, indirect=True)
def test_the_guest_has_only_its_own_descriptors(runtime: Runtime) -> None:
    async def scenario() -> object:
        container = await runtime.start(a_spec())

        fds = await ask(
            container,
            "[os.readlink('/proc/self/fd/' + fd) for os in [__import__('os')] for fd in os.listdir('/proc/self/fd') if os.path.lexists('/proc/self/fd/' + fd)]",
        )

        await container.close()
        return fds

    kinds = sorted(str(target).split(":")[0] for target in asyncio.run(scenario()))  # type: ignore[attr-defined]
    # What comes from outside has one name in gVisor, whatever it is.
    its_own = ["host"] * 3 if runtime.capabilities.name == "gvisor" else ["pipe", "pipe", "socket"]
    assert kinds == ["/dev/null", *its_own]


@pytest.mark.parametrize("runtime", REAL, indirect=True)
def test_what_is_written_below_python_comes_through_the_pipes(runtime: Runtime) -> None:
    async def scenario() -> tuple[bytes, bytes]:
        container = await runtime.start(a_spec())
        await ask(container, "__import__('os').system('echo out; echo err >&2')")

        await readable(container.stdout_fd)
        out = os.read(container.stdout_fd, 100)
        err = os.read(container.stderr_fd, 100)

        await container.close()
        return out, err

    assert asyncio.run(scenario()) == (b"out\n", b"err\n")


@pytest.mark.parametrize(
    "runtime", [name for name in WITH_IMAGES if "forked" not in name], indirect=True
)
def test_an_entrypoint_starts_the_guest_with_what_it_sets(runtime: ImageRuntime) -> None:
    runtime.root = replace(
        runtime.root, entrypoint=("/usr/bin/env", "FROM_ENTRYPOINT=yes"), env=(("OF_IMAGE", "yes"),)
    )

    async def scenario() -> object:
        container = await runtime.start(a_spec())

        answer = await ask(
            container, "[__import__('os').environ.get(n) for n in ('FROM_ENTRYPOINT', 'OF_IMAGE')]"
        )

        await container.close()
        return answer

    assert asyncio.run(scenario()) == ["yes", "yes"]


@pytest.mark.parametrize("runtime", REAL, indirect=True)
def test_a_segfault_is_signal_11(runtime: Runtime) -> None:
    async def scenario() -> Exit:
        container = await runtime.start(a_spec())

        ended = await order(container, "__import__('os').kill(__import__('os').getpid(), 11)")

        await container.close()
        return ended

    ended = asyncio.run(scenario())
    assert (ended.code, ended.signal) == (None, 11)


@pytest.mark.parametrize("runtime", REAL, indirect=True)
def test_an_interpreter_that_is_not_there_is_named(runtime: Runtime) -> None:
    async def scenario() -> str:
        image = a_spec().image
        missing = type(image)("/nowhere/bin/python", (), "/")
        try:
            container = await runtime.start(a_spec(image=missing))
        except ContainerStartError as error:
            return str(error)
        ended = await container.wait()
        await container.close()
        return ended.detail

    assert "/nowhere" in asyncio.run(scenario())


@pytest.mark.parametrize(
    ("make", "options", "advice"),
    [
        (GvisorRuntime, {"runsc": "/nowhere/runsc"}, "apt install runsc"),
        (DockerRuntime, {"docker_socket": "/nowhere/docker.sock"}, "systemctl start docker"),
    ],
    ids=["gvisor", "docker"],
)
def test_a_runtime_that_is_not_there_says_how_to_get_it(
    tmp_path: Path, make: Callable[[RuntimeOptions], Runtime], options: dict[str, str], advice: str
) -> None:
    with pytest.raises(RuntimeUnavailableError, match=advice):
        make(RuntimeOptions(str(tmp_path), **options))  # type: ignore[arg-type]


def test_a_container_of_gvisor_gets_no_gpu_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = GvisorRuntime(RuntimeOptions(str(tmp_path), guest_argv=GUEST_ARGV))
        try:
            await runtime.start(a_spec(gpus=(Gpu(0, "H100"),)))
        finally:
            await runtime.close()

    try:
        with pytest.raises(ContainerStartError, match="asks for a GPU"):
            asyncio.run(scenario())
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def test_a_fake_start_fails_as_scripted() -> None:
    runtime = FakeRuntime(Script(start_error="no room"))

    with pytest.raises(ContainerStartError, match="no room"):
        asyncio.run(runtime.start(a_spec()))


def test_a_fake_container_dies_as_scripted() -> None:
    async def scenario() -> Exit:
        runtime = FakeRuntime(Script(guest=play))
        container = await runtime.start(a_spec())

        container.die(Exit(code=None, signal=9, out_of_memory=True))
        ended = await container.wait()

        await runtime.close()
        return ended

    assert asyncio.run(scenario()).out_of_memory


_SEEN = (
    "[os.environ.get('CUDA_DEVICE_ORDER'), os.environ.get('CUDA_VISIBLE_DEVICES'),"
    " os.environ.get('NVIDIA_VISIBLE_DEVICES')] + sorted(name for name in os.listdir('/dev') if 'nvidia' in name)"
).replace("os.", "__import__('os').")


@pytest.fixture
def device_dir() -> Iterator[str]:
    """Lay out ordinary files as device nodes, where a container's own uid may walk."""
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        folder.chmod(0o755)
        for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
            (folder / name).write_text(name)
        yield directory


@pytest.mark.parametrize(
    ("gpus", "seen"),
    [
        ((), ["PCI_BUS_ID", "-1", "void"]),
        (
            (Gpu(0, "H100"), Gpu(2, "H100")),
            ["PCI_BUS_ID", "0,2", "0,2", "nvidia-uvm", "nvidia0", "nvidia2", "nvidiactl"],
        ),
    ],
    ids=["none", "two of three"],
)
def test_a_sandbox_sees_its_own_gpus_and_no_others(
    tmp_path: Path, device_dir: str, gpus: tuple[Gpu, ...], seen: list[str]
) -> None:
    try:
        runtime = BubblewrapRuntime(
            RuntimeOptions(data_dir=str(tmp_path), guest_argv=GUEST_ARGV, device_dir=device_dir)
        )
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))

    async def scenario() -> object:
        container = await runtime.start(a_spec(gpus=gpus))
        answer = await ask(container, _SEEN)
        await runtime.close()
        return answer

    assert asyncio.run(scenario()) == seen


def test_a_plain_process_is_told_its_own_gpus(tmp_path: Path) -> None:
    async def scenario() -> object:
        runtime = ProcessRuntime(RuntimeOptions(data_dir=str(tmp_path), guest_argv=GUEST_ARGV))
        container = await runtime.start(a_spec(gpus=(Gpu(1, "H100"),)))
        answer = await ask(container, "__import__('os').environ['CUDA_VISIBLE_DEVICES']")
        await runtime.close()
        return answer

    assert asyncio.run(scenario()) == "1"
