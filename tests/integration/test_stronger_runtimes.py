"""Functions that name a stronger sandbox than the default, through the SDK and a stack of their own."""

import pytest

import offload
from offload import testing

app = offload.App("stronger-runtimes")


@app.function(runtime="gvisor")
def on_gvisor(number):
    import platform  # noqa: PLC0415  # in the container

    print(f"got {number}")  # noqa: T201  # comes back as output
    return number + 1, platform.uname().version


@app.function(runtime="docker")
def on_docker(number):
    import os  # noqa: PLC0415  # in the container

    return number + 1, sorted(os.listdir("/sys/class/net"))  # noqa: PTH208


@pytest.mark.usefixtures("gvisor")
def test_a_function_runs_on_gvisor_where_it_names_it_and_the_machine_has_it(tmp_path, capsys):
    with testing.local_stack(tmp_path / "stack"), app.run():
        answer, kernel = on_gvisor.remote(1)

    assert answer == 2
    assert "2016" in kernel  # the date that gVisor's own kernel tells
    assert "got 1" in capsys.readouterr().out


def test_a_function_runs_on_the_docker_engine_that_the_worker_was_told_of(
    tmp_path, docker_socket, monkeypatch
):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker_socket}")

    with testing.local_stack(tmp_path / "stack"), app.run():
        answer, interfaces = on_docker.remote(1)

    assert answer == 2
    assert interfaces == ["eth0", "lo"]
