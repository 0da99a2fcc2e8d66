"""`offload shell` and `offload container` as a person uses them."""

from __future__ import annotations

import json
import signal
import time
from contextlib import closing

import pytest
from tests.support.typing_user import PATIENCE_SECONDS, Terminal

PROGRAM = """
import time

import offload

app = offload.App("shelf")


@app.function(memory=300, env={"FLAVOUR": "plum"})
def wait(word):
    print("waiting for", word, flush=True)
    open("/tmp/mark", "w").write("mark of " + word)
    time.sleep(3600)


@app.function()
def other():
    raise RuntimeError("it was not to be run")


@app.cls(env={"FLAVOUR": "pear"})
class Model:
    @offload.method()
    def answer(self):
        return 1
"""


@pytest.fixture
def program(neighbour):
    return neighbour.write("shelf.py", PROGRAM)


def containers(user, *words):
    done = user.run("container", "ls", "--json", *words)
    # Until the first program has started the local stack, no server answers.
    return json.loads(done.stdout) if done.returncode == 0 else []


def until(user, is_so):
    """Look at the containers until something holds of them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so(found := containers(user)):
        assert time.monotonic() < deadline, found
    return found


def test_a_shell_has_a_terminal_in_a_container_of_its_own_and_both_end_with_it(neighbour, program):
    with closing(Terminal(neighbour, "shell", f"{program}::wait")) as terminal:
        terminal.see("$ ")
        (container,) = containers(neighbour)
        terminal.type("tty; stty size; echo of $FLAVOUR\r")
        terminal.see("/dev/pts/")
        terminal.see("31 97")
        terminal.see("of plum")
        terminal.resize(44, 121)
        # Keys and the news of the size go their own ways.
        terminal.type("until [ \"$(stty size)\" = '44 121' ]; do sleep 0.1; done; echo re''sized\r")
        terminal.see("resized")
        terminal.type("sh -c \"echo be''gins; exec sleep 3600\"\r")
        terminal.see("begins")
        terminal.type("\x03")
        terminal.see("^C")
        terminal.see("$ ")
        terminal.type("ls /tmp/mark; exit 5\r")

        code = terminal.wait()

        assert code == 5
        assert b"No such file" in terminal.drawn  # the function has not run
        assert terminal.modes() == terminal.modes_before
    assert container["function_name"] == "wait"
    until(neighbour, lambda found: not found)


def test_a_terminal_is_given_back_as_it_was_when_the_command_is_ended(neighbour, program):
    with closing(Terminal(neighbour, "shell", f"{program}::other")) as terminal:
        terminal.see("$ ")
        assert terminal.modes() != terminal.modes_before

        terminal.process.send_signal(signal.SIGTERM)

        assert terminal.wait() == 128 + signal.SIGTERM
        assert terminal.modes() == terminal.modes_before
    until(neighbour, lambda found: not found)


def test_the_container_of_a_killed_shell_goes_with_it(neighbour, program):
    shell = neighbour.start("shell", f"{program}::Model", "--cmd", "echo of $FLAVOUR; sleep 3600")
    assert shell.stdout.readline() == "of pear\n"

    shell.kill()

    shell.communicate()
    until(neighbour, lambda found: not found)


def test_programs_run_in_a_container_that_runs_and_it_is_stopped_by_hand(neighbour, program):
    run = neighbour.start("run", f"{program}::wait", "--word", "godot")
    (container,) = until(neighbour, lambda found: [c for c in found if c["inputs_in_hand"]])
    name = container["container_id"]
    assert run.stdout.readline().endswith("waiting for godot\n")

    script = "cat /tmp/mark; cat; echo bad >&2; exit 3"
    done = neighbour.run("container", "exec", name, "--", "sh", "-c", script)
    listed = neighbour.run("container", "ls", "--app", "shelf").stdout
    others = neighbour.run("container", "ls", "--env", "elsewhere").stdout
    of_all = containers(neighbour, "--all", "--env", "elsewhere")
    foreign = neighbour.run("container", "exec", "--workspace", "theirs", name, "id")
    logs = neighbour.run("container", "logs", name).stdout
    following = neighbour.start("container", "logs", "--follow", name)
    assert following.stdout.readline() == "waiting for godot\n"
    stopped = neighbour.run("container", "stop", "--now", name, "--json")

    assert (done.returncode, done.stdout, done.stderr) == (3, "mark of godot", "bad\n")
    assert name in listed
    assert "No containers" in others
    assert [each["container_id"] for each in of_all] == [name]
    assert foreign.returncode == 4
    assert "No container" in foreign.stderr
    assert logs == "waiting for godot\n"
    assert json.loads(stopped.stdout) == {"container": name, "state": "stopping"}
    assert following.wait(PATIENCE_SECONDS) == 0
    # What it ran is run again, elsewhere.
    until(neighbour, lambda found: [c for c in found if c["container_id"] != name])
    assert neighbour.run("container", "logs", name, "--app", "shelf").stdout == logs
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=PATIENCE_SECONDS)
    until(neighbour, lambda found: not found)


def test_a_program_that_ends_its_own_container_ends_the_command(neighbour, program):
    # The runner is a process of the same user: whoever has a shell may end it.
    script = "kill -9 $(pgrep -f runner/boot.py); sleep 3600"

    done = neighbour.run("shell", f"{program}::wait", "--cmd", script)

    # Whichever of the two the kernel killed first: the program, or what tells of its end.
    assert (done.returncode, "its container has ended" in done.stderr) in {(3, True), (137, False)}
    until(neighbour, lambda found: not found)
