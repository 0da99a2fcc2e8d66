"""What a user sees when the processes of the local stack are killed under them."""

import os
import signal

from tests.support.acceptance import wait_for_line, wait_gone

COUNTING = """
import os
import threading
import offload

app = offload.App("counting")

@app.function()
def step(number: int) -> int:
    threading.Event().wait(0.05)
    return number

@app.function()
def long(seconds: float) -> float:
    print("working", flush=True)
    threading.Event().wait(seconds)
    return seconds

@app.function()
def whoami() -> int:
    return 1

@app.local_entrypoint()
def many(count: int = 150):
    seen = []
    for number in step.map(range(count)):
        seen.append(number)
        if len(seen) == 10:
            print("begins", flush=True)
    print("each once" if seen == list(range(count)) else f"wrong: {seen}")

@app.local_entrypoint()
def one(seconds: float = 3):
    print(f"ended with {long.remote(seconds)}")

@app.local_entrypoint()
def quick():
    print(f"got {whoami.remote()}")
"""


def a_program(user):
    return user.write("counting.py", COUNTING)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    assert wait_gone([pid]) == []


def test_a_map_survives_the_end_of_the_server_with_each_result_once(user):
    process = user.start("run", f"{a_program(user)}::many")
    wait_for_line(process, "begins")

    kill(user.stack()["server_pid"])
    output, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert output.splitlines()[-1] == "each once"
    assert "The local server had died; started it again" in errors
    assert "Traceback" not in errors


def test_a_remote_call_survives_the_end_of_the_server_and_runs_once(user):
    process = user.start("run", f"{a_program(user)}::one")
    wait_for_line(process, "working")

    kill(user.stack()["server_pid"])
    output, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert output.splitlines()[-1] == "ended with 3.0"
    assert output.count("working") == 0
    assert "Traceback" not in errors


def test_a_run_after_a_crash_of_both_just_works(user):
    user.run("run", f"{a_program(user)}::quick")
    stack = user.stack()
    kill(stack["server_pid"])
    kill(stack["worker_pid"])

    done = user.run("run", f"{a_program(user)}::quick")

    assert done.returncode == 0, done.stderr
    assert "got 1" in done.stdout


def test_a_worker_that_was_killed_is_replaced_by_the_next_run(user):
    user.run("up")
    kill(user.stack()["worker_pid"])

    done = user.run("run", f"{a_program(user)}::quick")

    assert done.returncode == 0, done.stderr
    assert "got 1" in done.stdout
    assert "The local worker had died; started another" in done.stderr


def test_a_running_program_gets_another_worker_for_the_one_that_was_killed(user):
    process = user.start("run", f"{a_program(user)}::one", "--seconds", "1")
    wait_for_line(process, "working")

    kill(user.stack()["worker_pid"])
    output, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert output.splitlines()[-1] == "ended with 1.0"
    assert "The local worker had died; started another" in errors


def test_down_ends_a_running_program_with_one_line_and_starts_nothing(user):
    process = user.start("run", f"{a_program(user)}::one", "--seconds", "600")
    wait_for_line(process, "working")

    down = user.run("down")
    _, errors = process.communicate(timeout=60)

    assert down.returncode == 0
    assert process.returncode == 3
    assert errors.splitlines()[-1].startswith("offload: the local stack was ended (`offload down`)")
    assert "Traceback" not in errors
    assert user.processes() == {}


def test_down_after_a_crash_of_the_server_leaves_nothing(user):
    process = user.start("run", f"{a_program(user)}::one", "--seconds", "600")
    wait_for_line(process, "working")
    process.kill()
    process.communicate()
    kill(user.stack()["server_pid"])

    done = user.run("down")

    assert done.returncode == 0
    assert user.processes() == {}


def test_down_after_a_crash_of_the_worker_leaves_nothing(user):
    process = user.start("run", f"{a_program(user)}::one", "--seconds", "600")
    wait_for_line(process, "working")
    process.kill()
    process.communicate()
    kill(user.stack()["worker_pid"])

    done = user.run("down")

    assert done.returncode == 0
    assert wait_gone(list(user.processes())) == []
