"""Secrets in containers, through the SDK and a whole stack: who sees a value and who does not."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from pathlib import Path

import pytest

import offload
from offload import errors, testing

VALUE = "correct horse battery staple"
EXTRA = "tr0ub4dor&3 and more"
small = {"cpu": 0.25, "memory": 128}
# An idle container ends at once, so that each call has a fresh one.
fresh = {**small, "scaledown_window": 0}

db = offload.Secret.from_name("db", required_keys=["PASSWORD"])
app = offload.App("secrets", secrets=[db])


def digest(value):
    """Return what a result can say of a value: results are the user's own, and kept as they are."""
    return hashlib.sha256(value.encode()).hexdigest()


@app.function(**small, secrets=[offload.Secret.from_dict({"EXTRA": EXTRA})], env={"USER": "eve"})
def look():
    return [digest(os.environ[name]) for name in ("PASSWORD", "EXTRA", "USER")]  # noqa: TID251  # a container's


@app.function(**fresh)
def look_anew():
    return digest(os.environ["PASSWORD"]), os.getppid() == 0  # noqa: TID251  # as above


@app.function(**small)
def leak(how):
    value = os.environ["PASSWORD"]  # noqa: TID251  # as above
    if how == "print":
        print("it is", value, "!")  # noqa: T201  # comes back as output
    elif how == "pieces":
        for character in value:
            sys.stdout.write(character)
            sys.stdout.flush()
        print()  # noqa: T201  # as above
    elif how == "lines":
        print(value[:9], value[9:], sep="\n")  # noqa: T201  # as above
    elif how == "pipe":
        os.write(1, value[:7].encode())
        os.write(1, value[7:].encode() + b"\n")
    elif how == "child":
        os.system("echo $PASSWORD >&2")  # noqa: S605  # as above
    elif how == "base64":
        print(base64.b64encode(b"x" + value.encode()).decode())  # noqa: T201  # as above
    print("and this is shown")  # noqa: T201  # as above


@app.function(**small)
def fail(large):
    value = os.environ["PASSWORD"]  # noqa: TID251  # as above
    raise ValueError(f"cannot log in with {value}", "x" * 200_000 + value if large else value)


@app.function(**small)
def wait():
    jobs = offload.Queue.from_name("jobs")
    jobs.put("running")
    return jobs.get(partition="end", timeout=60)


class Unloadable:
    def __reduce__(self):
        return (exec, ("import os; raise RuntimeError('no ' + os.environ['PASSWORD'])",))


unloadable = Unloadable()


@app.function(**small)
def never():
    return unloadable


@app.function(**small, secrets=[offload.Secret.from_name("db", required_keys=["PORT", "HOST"])])
def lacks():
    raise AssertionError("it runs")


@app.function(**small, secrets=[offload.Secret.from_name("nowhere")])
def unknown():
    raise AssertionError("it runs")


@app.function(**fresh, secrets=[offload.Secret.from_name("short-lived")])
def orphan():
    return "ran"


@app.function(**small)
def reach_for_secrets():
    refused = []
    for attempt in (
        offload.Secret.from_name("db").hydrate,
        offload.Secret.list,
        lambda: offload.Secret.delete("db"),
        lambda: offload.Secret.create("mine", {"A": "1"}),
    ):
        try:
            attempt()
        except errors.AuthError:
            refused.append(attempt)
    return len(refused)


@app.function(**small, runtime="gvisor")
def on_gvisor():
    print("it is", os.environ["PASSWORD"])  # noqa: T201, TID251  # comes back as output
    return len(os.environ["PASSWORD"])  # noqa: TID251  # a container's


@app.function(**small, runtime="docker")
def on_docker():
    print("it is", os.environ["PASSWORD"])  # noqa: T201, TID251  # comes back as output
    return len(os.environ["PASSWORD"])  # noqa: TID251  # a container's


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack")
    with testing.local_stack(folder):
        offload.Secret.create("db", {"PASSWORD": VALUE, "USER": "ann"})
        yield folder


@pytest.fixture(scope="module")
def running(folder):
    with app.run():
        yield folder


pytestmark = pytest.mark.usefixtures("running")


def files_with(text, folder):
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes()
    ]


def processes_with(text):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                if text.encode() in (process / name).read_bytes():
                    found.append((process / name, (process / "cmdline").read_bytes()))
            except OSError:  # it has ended, or is the kernel's
                continue
    return found


def test_a_function_has_the_secrets_of_its_app_and_its_own_and_env_comes_last():
    assert look.remote() == [digest(VALUE), digest(EXTRA), digest("eve")]


@pytest.mark.parametrize("how", ["print", "pieces", "lines", "pipe", "child", "base64"])
def test_what_a_function_prints_shows_no_value(capfd, how):
    leak.remote(how)

    said = capfd.readouterr()
    shown = said.out + said.err
    assert "***" in shown
    assert "and this is shown" in shown
    assert VALUE not in shown.replace("\n", "")
    assert not any(part in shown for part in ("correct", "horse", "staple", "Y29ycmVj", "NvcnJlY3"))


@pytest.mark.parametrize("large", [False, True])
def test_an_exception_comes_back_without_the_value(large):
    with pytest.raises((ValueError, errors.RemoteError)) as raised:
        fail.remote(large)

    assert "cannot log in with" in str(raised.value)
    assert isinstance(raised.value, ValueError) is not large
    assert VALUE not in repr(raised.value) + str(raised.value)
    assert VALUE not in "".join(getattr(raised.value, "__notes__", ()))


def test_a_function_that_cannot_be_loaded_says_why_without_the_value():
    with pytest.raises(errors.ContainerStartError) as raised:
        never.remote()

    assert "no ***" in str(raised.value)
    assert VALUE not in str(raised.value)


def test_nothing_runs_where_a_required_key_is_missing():
    with pytest.raises(errors.InvalidError, match="'db' lacks PORT, HOST: it has PASSWORD, USER"):
        lacks.remote()
    with pytest.raises(errors.NotFoundError, match="There is no secret 'nowhere'"):
        unknown.remote()


def test_a_value_is_in_no_file_no_argument_and_no_environment_that_others_can_read(running):
    jobs = offload.Queue.from_name("jobs", create_if_missing=True)
    call = wait.spawn()
    jobs.get(timeout=60)

    processes, files = processes_with(VALUE), files_with(VALUE, running)
    jobs.put("end", partition="end")

    assert call.get(timeout=60) == "end"
    assert (processes, files) == ([], [])


def test_a_container_cannot_reach_secrets():
    assert reach_for_secrets.remote() == 4


def test_the_next_container_has_the_new_value_also_where_it_would_be_forked():
    calls = [look_anew.remote()]
    while not calls[-1][1]:
        calls.append(look_anew.remote())
    before = calls[-1]

    offload.Secret.create("db", {"PASSWORD": "another value"}, overwrite=True)
    after = look_anew.remote()
    while not (later := look_anew.remote())[1]:
        pass
    offload.Secret.create("db", {"PASSWORD": VALUE, "USER": "ann"}, overwrite=True)

    assert before == (digest(VALUE), True)
    assert after[0] == later[0] == digest("another value")
    assert look_anew.remote()[0] == digest(VALUE)


def test_containers_start_while_and_after_the_key_is_changed():
    assert offload.Secret.rotate_key() >= 1

    assert look_anew.remote()[0] == digest(VALUE)


def test_a_function_whose_secret_was_deleted_says_so():
    offload.Secret.create("short-lived", {"A": "1"})
    assert orphan.remote() == "ran"

    offload.Secret.delete("short-lived")

    with pytest.raises(
        errors.ContainerStartError, match="its secrets could not be had: There is no secret"
    ):
        orphan.remote()


@pytest.mark.usefixtures("gvisor")
def test_gvisor_has_secrets_too(capfd):
    assert on_gvisor.remote() == len(VALUE)
    assert "it is ***" in capfd.readouterr().out


def test_docker_has_secrets_too(docker_socket, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker_socket}")
    with testing.local_stack(tmp_path / "stack"):
        offload.Secret.create("db", {"PASSWORD": VALUE})
        with app.run():
            assert on_docker.remote() == len(VALUE)

    assert "it is ***" in capfd.readouterr().out
