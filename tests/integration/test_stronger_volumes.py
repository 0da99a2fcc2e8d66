"""Volumes in containers of the stronger sandboxes, through the SDK and a whole stack."""

import io
from pathlib import Path

import pytest

import offload
from offload import errors, testing

app = offload.App("stronger-volumes")
shared = offload.Volume.from_name("stronger", create_if_missing=True)

DATA = Path("/data")


def work(name):
    (DATA / name).write_text(f"by {name}")
    committed = {path.name: path.read_text() for path in DATA.iterdir()}
    with (DATA / "input").open():
        try:
            shared.reload()
        except offload.errors.InvalidError as error:
            return committed, str(error)
    return committed, "reloaded"


@app.function(runtime="gvisor", volumes={"/data": shared})
def on_gvisor(name):
    return work(name)


@app.function(runtime="docker", volumes={"/data": shared})
def on_docker(name):
    return work(name)


@app.function(runtime="gvisor", volumes={"/data": shared.read_only()})
def look_on_gvisor():
    try:
        (DATA / "new").touch()
    except OSError:
        return (DATA / "input").read_text()
    return "it could be written"


@pytest.mark.usefixtures("gvisor")
def test_a_volume_is_the_same_on_every_sandbox(tmp_path, docker_socket, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker_socket}")

    with testing.local_stack(tmp_path / "stack"), app.run():
        shared.put_file(io.BytesIO(b"read"), "input")
        first, refusal = on_gvisor.remote("gvisor")
        second, other_refusal = on_docker.remote("docker")
        seen = look_on_gvisor.remote()
        found = {entry.path: b"".join(shared.read_file(entry.path)) for entry in shared.listdir()}

    assert first == {"input": "read", "gvisor": "by gvisor"}
    assert second == {**first, "docker": "by docker"}
    assert "close /data/input" in refusal
    assert "close /data/input" in other_refusal
    assert seen == "read"
    assert found == {"input": b"read", "gvisor": b"by gvisor", "docker": b"by docker"}


def test_a_plain_process_is_refused_a_volume_that_it_could_write_to():
    with pytest.raises(errors.InvalidError, match="keeps nobody from writing"):
        app.function(runtime="process", volumes={"/data": shared.read_only()})(print)
