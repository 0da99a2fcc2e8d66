import json
import signal

from tests.support.acceptance import EXAMPLES, run_on_terminal, wait_for_line

SLOW = """
import threading
import offload

app = offload.App("slow")

@app.function()
def wait(seconds: float) -> float:
    threading.Event().wait(seconds)
    return seconds

@app.local_entrypoint()
def main(count: int = 50, seconds: float = 30):
    print("begins", flush=True)
    list(wait.map([seconds] * count))
"""

RESULT = """
import offload

app = offload.App("result")

@app.function()
def add(a: int, b: int = 1) -> int:
    print("adding")
    return a + b
"""

FAILING = """
import offload

app = offload.App("failing")

@app.function()
def fail(x: int):
    raise ValueError(f"no {x}")

@app.local_entrypoint()
def main(leave: int = 0):
    if leave:
        raise SystemExit(leave)
    fail.remote(3)
"""


def test_the_hello_example_squares_maps_and_streams(neighbour):
    done = neighbour.run("run", str(EXAMPLES / "hello.py"))

    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "square.local: 25" in lines
    assert "square.remote: 25" in lines
    assert "square.map: [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]" in lines
    assert [line for line in lines if line.startswith("countdown")] == [
        "countdown: 3",
        "countdown: 2",
        "countdown: 1",
    ]


def test_a_second_run_finds_the_stack_warm(neighbour):
    neighbour.run("up")

    done = neighbour.run("run", str(EXAMPLES / "hello.py"))

    assert done.returncode == 0
    assert "Started a local stack" not in done.stderr


def test_the_real_job_measures_the_standard_library(neighbour):
    done = neighbour.run("run", str(EXAMPLES / "stdlib_metrics.py"), "--limit", "60")

    assert done.returncode == 0, done.stderr
    assert "60 files" in done.stdout
    assert "inputs per second" in done.stdout
    assert "longest" not in done.stderr


def test_piped_output_has_no_control_codes(neighbour):
    done = neighbour.run("run", str(EXAMPLES / "hello.py"))

    assert "\x1b" not in done.stdout + done.stderr
    assert "\x1b" not in neighbour.run("status").stdout


def test_a_terminal_shows_progress_while_a_map_runs(neighbour):
    program = neighbour.write("slow.py", SLOW)

    code, drawn = run_on_terminal(neighbour, "run", program, "--count", "8", "--seconds", "0.5")

    assert code == 0
    assert "running" in drawn
    assert "pending" in drawn


def test_a_lone_function_runs_with_its_own_flags(neighbour):
    program = neighbour.write("result.py", RESULT)

    done = neighbour.run("run", program, "--a", "2")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3"


def test_json_output_is_one_document_whatever_is_printed(neighbour):
    program = neighbour.write("result.py", RESULT)

    done = neighbour.run("run", "--json", program, "--a", "2", "--b", "5")

    assert json.loads(done.stdout) == {"result": 7}
    assert "adding" in done.stderr


def test_a_failing_program_exits_with_1_and_its_own_traceback(neighbour):
    program = neighbour.write("failing.py", FAILING)

    done = neighbour.run("run", program)

    assert done.returncode == 1
    assert "ValueError: no 3" in done.stderr
    assert 'raise ValueError(f"no {x}")' in done.stderr
    assert "offload/sdk" not in done.stderr


def test_a_program_chooses_its_own_exit_code(neighbour):
    program = neighbour.write("failing.py", FAILING)

    assert neighbour.run("run", program, "--leave", "7").returncode == 7


def test_an_interrupted_run_cancels_its_work_and_says_so_in_one_line(neighbour):
    program = neighbour.write("slow.py", SLOW)
    process = neighbour.start("run", program)
    wait_for_line(process, "begins")

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "offload: Interrupted; the work was cancelled."
    status = neighbour.status()
    assert (status["pending_total"], status["running_total"]) == (0, 0)


def test_a_reader_that_leaves_early_is_no_error(neighbour):
    program = neighbour.write("result.py", RESULT)

    done = neighbour.run(
        "run", program, "--a", "1", prefix=("bash", "-c", 'set -o pipefail; "$@" | true', "bash")
    )

    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_two_runs_at_once_share_one_stack(user):
    first = user.start("run", str(EXAMPLES / "hello.py"))
    second = user.start("run", str(EXAMPLES / "hello.py"))

    outputs = [process.communicate(timeout=60) for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert sum("Started a local stack" in errors for _, errors in outputs) == 1


def test_down_leaves_nothing_running(user):
    user.run("run", str(EXAMPLES / "hello.py"))
    assert user.processes()

    done = user.run("down")

    assert done.returncode == 0
    assert user.processes() == {}
