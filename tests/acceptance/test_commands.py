import json
from pathlib import Path

from tests.support.acceptance import EXAMPLES

UNRUNNABLE = """
import offload

app = offload.App("unrunnable")

@app.function(memory=1 << 30)
def f():
    pass

@app.local_entrypoint()
def main():
    print(f.spawn().object_id)
"""


def test_without_a_stack_status_says_how_to_start_one(user):
    done = user.run("status")

    assert done.returncode == 3
    assert "offload up" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_named(user):
    user.extra |= {"OFFLOAD_SERVER_URL": "http://127.0.0.1:9", "OFFLOAD_TOKEN": "x"}

    done = user.run("status", "--json")

    assert done.returncode == 3
    assert "127.0.0.1:9" in json.loads(done.stdout)["error"]["message"]


def test_down_without_a_stack_is_no_error(user):
    done = user.run("down", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout) == {"stopped": False}


def test_calls_and_logs_show_what_a_program_did(neighbour):
    neighbour.run("run", str(EXAMPLES / "hello.py"))

    calls = json.loads(neighbour.run("calls", "ls", "--json", "--app", "hello").stdout)
    single = next(call for call in calls if call["kind"] == "CALL_KIND_SINGLE")
    logs = neighbour.run("logs", single["call_id"])
    described = neighbour.run("calls", "get", single["call_id"])

    assert {call["function_name"] for call in calls} == {"square", "countdown"}
    assert logs.stdout == "squaring 5\n"
    assert "succeeded" in described.stdout


def test_an_unknown_call_is_not_found(neighbour):
    neighbour.run("up")

    done = neighbour.run("calls", "get", "fc-00000000000000000000000000")

    assert done.returncode == 4
    assert "fc-00000000000000000000000000" in done.stderr


def test_a_pending_input_says_why_it_waits_and_can_be_cancelled(neighbour):
    call_id = neighbour.run("run", neighbour.write("unrunnable.py", UNRUNNABLE)).stdout.strip()

    pending = neighbour.status()["pending"]
    cancelled = neighbour.run("calls", "cancel", call_id)

    assert [entry["call_id"] for entry in pending] == [call_id]
    assert "memory" in pending[0]["reason"]
    assert cancelled.returncode == 0
    assert neighbour.status()["pending"] == []


def test_an_occupied_port_is_one_clear_line(neighbour):
    neighbour.run("up")
    port = neighbour.stack()["http_port"]

    done = neighbour.run(
        "server",
        "--data-dir",
        str(neighbour.home / "other"),
        "--http-port",
        str(port),
        "--grpc-port",
        "0",
    )

    assert done.returncode == 3
    assert f"Port {port} is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_with_a_wrong_token_is_refused(neighbour):
    neighbour.run("up")
    port = neighbour.stack()["http_port"]
    token = neighbour.write("wrong-token", "wrong")

    done = neighbour.run(
        "worker", "--server-url", f"http://127.0.0.1:{port}", "--token-file", token,
        "--data-dir", str(neighbour.home / "worker"),
    )  # fmt: skip

    assert done.returncode == 6
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_functions_that_ask_for_what_they_cannot_have_keep_no_worker_from_others(user):
    beside_the_data = str(user.home / "script.py")
    Path(beside_the_data).write_text(
        "import offload\n"
        "app = offload.App('curious')\n"
        "@app.function(memory=128)\n"
        "def f(): pass\n"
        "@app.local_entrypoint()\n"
        "def main(): f.remote()\n"
    )

    refusals = [user.run("run", beside_the_data) for _ in range(3)]

    assert all("holds offload's own data" in done.stderr for done in refusals)
    assert [worker["state"] for worker in user.status()["workers"]] == ["online"]
