"""What `status`, `logs` and `calls` say in each situation, on a real stack."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.support.acceptance import User, wait_for_line

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import os
import sys
import time

import offload

app = offload.App("situations")

@app.function(max_containers=1)
def step(gate: str) -> None:
    print("begun")
    print("on stderr", file=sys.stderr)
    while not os.path.exists(gate):
        time.sleep(0.02)
    print("ended")

@app.function(cpu=1000)
def huge() -> None:
    pass

@app.function(runtime="process")
def bare() -> None:
    pass

@app.function(cpu=0.001, startup_timeout=0.001)
def slow_to_start() -> None:
    pass

@app.local_entrypoint()
def begin(gate: str) -> None:
    print(step.spawn(gate).object_id)

@app.local_entrypoint()
def stuck(gate: str) -> None:
    for call in (step.spawn(gate), step.spawn(gate), huge.spawn(), bare.spawn(), slow_to_start.spawn()):
        print(call.object_id)
"""


@pytest.fixture
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    user = User(tmp_path_factory.mktemp("user"))
    yield user
    user.end()


def _spawn(user: User, entrypoint: str) -> list[str]:
    program = user.write("situations.py", PROGRAM)
    done = user.run("run", f"{program}::{entrypoint}", "--gate", str(user.folder / "gate"))
    assert done.returncode == 0, done.stderr
    # A function that has begun already may have said so in between.
    return [word for word in done.stdout.split() if word.startswith("fc-")]


def _json(user: User, *words: str) -> object:
    return json.loads(user.run(*words, "--json").stdout)


@contextlib.contextmanager
def _started(user: User, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command for the length of the block; SIGTERM ends it."""
    process = user.start(*words)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_followed_logs_end_with_their_call(user: User) -> None:
    (call_id,) = _spawn(user, "begin")

    follower = user.start("logs", "-f", call_id)
    wait_for_line(follower, "begun")
    (user.folder / "gate").touch()
    out, err = follower.communicate(timeout=60)

    assert (follower.returncode, out) == (0, "ended\n")
    assert err == "on stderr\n"


def test_an_interrupted_follower_ends_in_one_line_and_leaves_the_call(user: User) -> None:
    (call_id,) = _spawn(user, "begin")
    follower = user.start("logs", "--follow", call_id)
    wait_for_line(follower, "begun")

    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=60)

    assert follower.returncode == 130
    assert err.splitlines()[-1] == "offload: Interrupted."
    assert "Traceback" not in err
    assert user.run("calls", "cancel", call_id).returncode == 0


def test_an_apps_logs_are_found_by_its_name_and_by_its_id(user: User) -> None:
    (user.folder / "gate").touch()
    (call_id,) = _spawn(user, "begin")
    user.run("logs", "-f", call_id)
    app_id = _json(user, "calls", "get", call_id)["app_id"]  # type: ignore[index]  # it is an object

    logs = [user.run("logs", target).stdout for target in ("situations", str(app_id), call_id)]
    lines = user.run("logs", "--json", call_id).stdout.splitlines()

    assert logs == ["begun\nended\n"] * 3
    assert [json.loads(line)["text"] for line in lines] == ["begun", "on stderr", "ended"]


def test_each_pending_input_says_why_it_waits(user: User) -> None:
    running, queued, huge, bare, slow = _spawn(user, "stuck")

    with _started(user, "logs", "-f", running) as follower:
        wait_for_line(follower, "begun")
    status = user.status()
    reasons = {str(entry["call_id"]): str(entry["reason"]) for entry in status["pending"]}

    assert "waiting for its turn" in reasons[queued]
    assert "needs 1000 cpus, the largest worker has" in reasons[huge]
    assert reasons[bare] == "no worker offers runtime process"
    assert slow not in reasons or "start" in reasons[slow]
    assert [c["function_name"] for c in status["containers"] if c["state"] == "ready"] == ["step"]
    assert [worker["state"] for worker in status["workers"]] == ["online"]


def test_without_a_worker_that_is_the_reason(user: User) -> None:
    with _started(
        user, "server", "--http-port", "0", "--grpc-port", "0", "--data-dir", str(user.data_dir)
    ) as server:
        assert server.stderr is not None
        while "listens on" not in server.stderr.readline():
            assert server.poll() is None

        (call_id,) = _spawn(user, "begin")
        pending = _json(user, "status")["pending"]  # type: ignore[index]  # it is an object
        shown = user.run("status").stdout
        calls = str(_json(user, "calls"))

    assert [entry["reason"] for entry in pending] == ["no worker is connected"]
    assert "No worker: start one with `offload worker`." in shown
    assert call_id in calls
    assert server.returncode == 0
