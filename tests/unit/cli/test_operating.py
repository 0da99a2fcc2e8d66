"""What operators ask and do, against a server that answers from a script."""

import json
import re

import pytest
from tests.support.sdk_server import TOKEN, fake_server

import offload
from offload.cli.exits import Exit
from offload.cli.main import run_command
from offload.wire.gen import workers_pb2

app = offload.App("operating")


@app.function()
def square(x):
    return x * x


@pytest.fixture
def server(monkeypatch):
    with fake_server() as running:
        monkeypatch.setenv("OFFLOAD_SERVER_URL", running.url)
        monkeypatch.setenv("OFFLOAD_TOKEN", TOKEN)
        yield running


@pytest.fixture
def worker(server):
    gpus = [workers_pb2.Gpu(index=index, kind="NVIDIA H100") for index in range(2)]
    server.status.workers.add(
        worker_id="wk-1", name="lab3", state="online", runtimes=["bubblewrap"],
        capacity=workers_pb2.Capacity(cpu_milli=4000, memory_mib=8000, gpus=gpus),
        used=workers_pb2.Capacity(cpu_milli=500, memory_mib=64, gpus=gpus[:1]),
    )  # fmt: skip
    server.status.containers.add(container_id="ct-1", worker_id="wk-1", inputs_in_hand=2)
    return server.status.workers[0]


@pytest.fixture
def run(capsys):
    def run(*words):
        code = run_command(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_status_shows_why_a_worker_takes_nothing_its_devices_and_what_is_blocked(
    server, worker, run
):
    worker.state, worker.reason = "quarantined", "3 containers could not start on it"
    server.status.blocked_total = 7

    code, out, _ = run("status")

    assert code == Exit.OK
    assert re.search("quarantined .* 3 containers could not start on it", out)
    assert "1 of 2 NVIDIA H100" in out
    assert "0 pending, 7 blocked by other calls." in out
    assert "Workspaces" not in out
    assert "\x1b" not in out


def test_status_shows_workspaces_where_there_are_several(server, run):
    server.status.workspaces.add(name="default", weight=1, containers=3, share=0.375)
    server.status.workspaces.add(name="physics", weight=2.5, max_containers=8, containers=2)

    _, out, _ = run("status")

    assert "  default    1       38%                   3           0" in out
    assert "  physics    2.5     0%                    2 of 8      0" in out


def test_workers_are_listed_by_themselves(worker, run):
    _, out, _ = run("worker", "ls")
    _, as_json, _ = run("worker", "--json", "ls")

    assert out.startswith("Workers:")
    assert json.loads(as_json)[0]["name"] == "lab3"


def test_a_drained_worker_is_told_so_by_its_name(worker, run):
    code, out, _ = run("worker", "drain", "lab3")

    assert code == Exit.OK
    assert "takes nothing new and leaves when" in out
    assert worker.state == "draining"


def test_who_waits_for_a_drained_worker_sees_what_keeps_it_until_it_has_left(server, worker, run):
    code, out, err = run("worker", "drain", "--wait", "wk-1")

    assert code == Exit.OK
    assert err == "lab3 is draining: 2 inputs in hand, in 1 container\n"
    assert out == "Worker wk-1 has left.\n"
    assert not server.status.workers


def test_draining_prints_one_document_where_json_was_asked_for(worker, run):
    _, out, _ = run("worker", "drain", "lab3", "--wait", "--json")

    assert json.loads(out) == {"worker_id": "wk-1", "has_left": True}


def test_an_unknown_worker_is_not_found(server, run):
    code, _, err = run("worker", "drain", "lab4")

    assert code == Exit.NOT_FOUND
    assert "'lab4'" in err


def test_options_of_a_worker_are_refused_for_its_subcommands(server, run):
    code, _, err = run("worker", "--cpu", "2", "ls")

    assert code == Exit.USAGE
    assert "--cpu is for `offload worker` itself" in err


def test_calls_show_their_priority_what_they_come_after_and_what_they_wait_for(server, run):
    with app.run():
        first = square.spawn(1).object_id
        call = square.with_options(priority=5, call_timeout=60, after=first, run_anyway=True)
        second = call.spawn(2).object_id
    server.waiting_reasons[second] = f"waits for {first}"

    _, listed, _ = run("calls")
    _, shown, _ = run("calls", "get", second)
    _, as_json, _ = run("calls", "get", second, "--json")

    assert f"waits for {first}" in listed
    assert "priority 5; to be over within 60 s of its submission; after " + first in shown
    assert f"waits because: waits for {first}" in shown
    assert json.loads(as_json)["options"]["after"] == [first]


def test_several_calls_are_cancelled_at_once_by_somebody_who_is_named(server, run):
    with app.run():
        calls = [square.spawn(x).object_id for x in range(2)]

    code, out, _ = run("calls", "cancel", *calls, "--reason", "wrong data", "--json")

    assert code == Exit.OK
    assert [each["call_id"] for each in json.loads(out)] == calls
    assert all(call.cancelled.startswith("cancelled by ") for call in server.calls.values())
    assert all(call.cancelled.endswith("cancel`: wrong data") for call in server.calls.values())


def test_an_unknown_call_does_not_keep_the_others_from_being_cancelled(server, run):
    with app.run():
        call = square.spawn(1).object_id

    code, out, err = run("calls", "cancel", "fc-nothing", call)

    assert code == Exit.NOT_FOUND
    assert "fc-nothing" in err
    assert out == f"Cancelled 0 inputs of {call}.\n"
    assert server.calls[call].cancelled


def test_a_call_whose_results_are_no_longer_kept_is_not_found(server, run):
    server.expired.add("fc-old")

    code, _, err = run("calls", "get", "fc-old")

    assert code == Exit.NOT_FOUND
    assert "were kept until yesterday" in err


def test_inputs_that_were_given_up_are_listed_with_their_reason(server, run):
    server.lose("in-a-0")
    server.lose("in-b-1", app_name="other")

    _, out, _ = run("dlq", "--limit", "1")
    _, of_app, _ = run("dlq", "ls", "--app", "t", "--json")

    assert out.startswith("Dead letters (newest 1 of 2):")
    assert "three workers went away with it" in out
    assert [each["input_id"] for each in json.loads(of_app)["letters"]] == ["in-a-0"]


def test_no_input_given_up_is_said_in_words(server, run):
    assert run("dlq") == (Exit.OK, "No input was given up.\n", "")


def test_one_is_shown_with_what_can_be_done_about_it(server, run):
    server.lose("in-a-0")

    _, out, _ = run("dlq", "show", "in-a-0")
    _, as_json, _ = run("dlq", "show", "in-a-0", "--json")

    assert "after 3 attempts: three workers went away with it" in out
    assert "offload dlq replay in-a-0" in out
    assert json.loads(as_json)["attempts"] == 3


def test_one_is_replayed_as_a_call_of_its_own(server, run):
    server.lose("in-a-0")

    _, out, _ = run("dlq", "replay", "in-a-0")

    assert out == f"in-a-0 goes again as {server.replayed['in-a-0']}.\n"


def test_all_of_an_app_are_replayed_or_dropped(server, run):
    for number in range(3):
        server.lose(f"in-a-{number}")
    server.lose("in-b-0", app_name="other")

    _, replayed, _ = run("dlq", "replay", "--all", "--app", "other", "--json")
    _, dropped, _ = run("dlq", "drop", "--all", "--json")

    assert [each["input_id"] for each in json.loads(replayed)] == ["in-b-0"]
    assert json.loads(dropped) == {"dropped": 3}
    assert server.letters == {}


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_all_are_more_than_the_server_takes_at_once(server, run, command):
    server.letters_at_once = 2
    for number in range(5):
        server.lose(f"in-a-{number}")

    code, _, _ = run("dlq", command, "--all")

    assert code == Exit.OK
    assert server.letters == {}


@pytest.mark.parametrize("command", ["show", "replay", "drop"])
def test_a_mistyped_input_is_corrected(server, run, command):
    server.lose("in-abcdef-0")

    code, _, err = run("dlq", command, "in-abcdfe-0")

    assert code == Exit.NOT_FOUND
    assert "Did you mean 'in-abcdef-0'?" in err
    assert server.letters


@pytest.mark.parametrize("command", ["replay", "drop"])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "or write --all"),
        (["in-a-0", "--all"], "not both"),
        (["in-a-0", "--app", "t"], "--app goes with --all"),
    ],
)
def test_it_is_clear_which_ones_are_meant(server, run, command, words, says):
    server.lose("in-a-0")

    code, _, err = run("dlq", command, *words)

    assert code == Exit.USAGE
    assert says in err
    assert server.letters


def test_a_program_runs_in_the_workspace_of_its_command_line(server, run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))  # undoes what loading adds
    program = tmp_path / "a_program_in_a_workspace.py"
    program.write_text(
        "import offload\napp = offload.App('x')\n@app.function()\ndef f(x: int):\n    return x + 1\n"
    )

    code, out, _ = run("run", "--workspace", "physics", str(program), "--x", "3")

    assert (code, out) == (Exit.OK, "4\n")
    assert [each.workspace for each in server.apps] == ["physics"]
