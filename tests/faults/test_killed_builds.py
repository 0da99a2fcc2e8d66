"""A build in the Docker Engine whose worker is killed: nothing half-made is kept, and nothing goes on without anybody."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.builders import make
from tests.support.images import BASE, Recorder, chain, run

from offload.worker.docker_engine import OWNER_LABEL, DockerEngine, remove_left_behind

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

COMMAND = "echo begun; touch /opt/half; test -e /opt/go || sleep 600"

# A worker of its own that builds the same image.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from tests.support.images import BASE, chain, no_blob, run
from offload.worker.images.docker_builder import DockerBuilder
from offload.worker.images.settings import ImageSettings

class Teller:
    audience = "test"
    def on_progress(self, text): pass
    def on_build_line(self, text): print(text, flush=True)

builder = DockerBuilder(Path(sys.argv[1]), ImageSettings(), socket=sys.argv[2], guest_packages={}, open_blob=no_blob)
asyncio.run(builder.build(chain(BASE, *run(sys.argv[3])), Teller()))
"""


def test_a_killed_worker_leaves_no_half_made_image_and_its_build_is_ended_by_the_next(
    request: pytest.FixtureRequest, tmp_path: Path, docker_socket: str
) -> None:
    make("docker", request, tmp_path)  # so that the base is there
    engine = DockerEngine(docker_socket)
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "images"), docker_socket, COMMAND]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        told = list(iter(worker.stdout.readline, "begun\n"))
        worker.kill()
        worker.wait()
    left = engine.containers_now(OWNER_LABEL)

    remove_left_behind(engine)
    builder = make("docker", request, tmp_path)

    image = chain(BASE, *run(COMMAND))
    again = Recorder()
    whole = chain(BASE, *run("test ! -e /opt/half"))
    asyncio.run(builder.build(whole, again))
    assert any("step 2 of 2" in line for line in told)
    assert len(left) == 1
    assert engine.containers_now(OWNER_LABEL) == {}
    assert builder.store.state_of(image.digest) is None
    assert builder.makings() == []
