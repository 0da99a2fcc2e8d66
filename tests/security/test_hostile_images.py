"""What an image may do to the container that runs on it, and to the machine: nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import make
from tests.support.closing import close_now
from tests.support.images import BASE, Recorder, chain, run
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.worker.ports import RootImage, Runtime

_RUNTIMES = {"bubblewrap": BubblewrapRuntime, "gvisor": GvisorRuntime, "docker": DockerRuntime}

# As root of the build: a program that makes its caller root, and links where containers have mounts of their own.
_MAKE = """
import os, shutil
python = os.path.realpath("/usr/bin/python3")
shutil.copy2(python, "/opt/become-root")
os.chmod("/opt/become-root", 0o6755)
for place in ("/tmp", "/home", "/var/tmp", "/mnt", "/srv"):
    shutil.rmtree(place, ignore_errors=True)
    os.symlink("HOST", place)
"""


@pytest.fixture
def host_folder() -> Iterator[Path]:
    """Have a folder of the machine's that anybody may write to."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "hosts").write_text("the host's own")
        yield folder


@pytest.fixture(params=_RUNTIMES)
def container(
    request: pytest.FixtureRequest, tmp_path: Path, host_folder: Path
) -> Iterator[tuple[Runtime, RootImage]]:
    options = RuntimeOptions(data_dir=str(tmp_path / "data"), guest_argv=GUEST_ARGV)
    if request.param == "docker":
        options = replace(options, docker_socket=request.getfixturevalue("docker_socket"))
    builder = make(
        "docker" if request.param == "docker" else "rootfs", request, tmp_path / "images"
    )
    made = _MAKE.replace("HOST", str(host_folder))
    image = chain(BASE, *run(f"python3 -I -S -c '{made}'"))
    root = asyncio.run(builder.build(image, Recorder())).root
    try:
        runtime = _RUNTIMES[request.param](options)
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    yield runtime, root
    close_now(runtime)


def test_links_of_an_image_lead_to_nothing_of_the_machine(
    container: tuple[Runtime, RootImage], host_folder: Path
) -> None:
    runtime, root = container
    writes = (
        "[open(path + '/written', 'w').close() for path in ('/tmp', '/home/offload', '/dev/shm')]"
        " and sorted(__import__('os').listdir('/tmp'))"
    )

    async def scenario() -> list[object]:
        started = await runtime.start(a_spec(image=root))
        seen = [
            await ask(started, writes),
            await ask(started, f"__import__('os').path.exists({str(host_folder / 'hosts')!r})"),
            await ask(started, "open('/mnt/written', 'w')"),
        ]
        await started.close()
        return seen

    own, sees_host, through_a_link = asyncio.run(scenario())

    assert own == ["written"]
    assert sees_host is False
    assert "Error" in str(through_a_link)
    assert [path.name for path in host_folder.iterdir()] == ["hosts"]
    assert (host_folder / "hosts").read_text() == "the host's own"


def test_a_setuid_program_of_an_image_makes_nobody_root(
    container: tuple[Runtime, RootImage],
) -> None:
    runtime, root = container
    who = (
        "__import__('subprocess').run(['/opt/become-root', '-I', '-S', '-c', "
        "'import os; print(os.geteuid() == os.getuid(), os.access(\"/opt\", os.W_OK))'], "
        "capture_output=True, text=True).stdout.strip()"
    )

    async def scenario() -> object:
        started = await runtime.start(a_spec(image=root))
        answer = await ask(started, who)
        await started.close()
        return answer

    assert asyncio.run(scenario()) == "True False"
