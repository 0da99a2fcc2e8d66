"""`offload serve`: every saved change is taken in, and one that is broken changes nothing."""

import os
import signal

from tests.support.acceptance import wait_for_line, wait_gone
from tests.support.processes import descendants

PROGRAM = """
import offload
import helper

app = offload.App("served")

@app.function()
def answer() -> int:
    return helper.ANSWER
"""


def test_saved_changes_are_taken_in_broken_ones_are_not_and_ctrl_c_ends_it_all(user):
    user.write("helper.py", "ANSWER = 1\n")
    program = user.write("served.py", PROGRAM)
    serving = user.start("serve", program)
    first = wait_for_line(serving, "Serving served from")
    wait_for_line(serving, "served::answer")

    user.write("helper.py", "ANSWER = 2\n")
    reloaded = wait_for_line(serving, "Reloaded in")
    user.write("served.py", PROGRAM + "\nbroken = (\n")
    broken = wait_for_line(serving, "cannot be served; what ran before goes on")
    user.write("served.py", PROGRAM + "\n@app.function()\ndef another() -> int:\n    return 3\n")
    wait_for_line(serving, "Reloaded in")
    wait_for_line(serving, "served::another")
    serving.send_signal(signal.SIGINT)
    out, err = serving.communicate(timeout=60)

    assert "Ctrl-C ends it" in first
    assert reloaded.rstrip().endswith("s.")
    assert "served.py" in broken
    assert serving.returncode == 130
    assert "Traceback" not in out + err
    apps = user.run("app", "ls", "--all", "--json").stdout
    assert '"runs": []' in apps


def test_ctrl_c_waits_for_the_one_before_that_is_slow_to_end(user):
    user.write("helper.py", "ANSWER = 1\n")
    user.run("up")
    serving = user.start("serve", user.write("served.py", PROGRAM))
    wait_for_line(serving, "served::answer")
    (before,) = descendants(serving.pid)
    os.kill(before, signal.SIGSTOP)
    user.write("helper.py", "ANSWER = 2\n")
    wait_for_line(serving, "served::answer")
    (newest,) = descendants(serving.pid) - {before}

    serving.send_signal(signal.SIGINT)
    wait_gone([newest])
    held_up = wait_gone([serving.pid], 0.5)
    os.kill(before, signal.SIGCONT)
    serving.communicate(timeout=60)

    assert held_up == [serving.pid]
    assert serving.returncode == 130
    assert '"runs": []' in user.run("app", "ls", "--all", "--json").stdout


def test_ctrl_c_ends_a_program_that_is_still_being_imported(user):
    program = user.write(
        "endless.py", "import threading\nprint('begins', flush=True)\nthreading.Event().wait()\n"
    )
    serving = user.start("serve", program)
    wait_for_line(serving, "begins")

    serving.send_signal(signal.SIGINT)
    serving.communicate(timeout=60)

    assert serving.returncode == 130
    assert user.processes() == {}


def test_a_file_that_is_not_there_is_named(user):
    done = user.run("serve", "nowhere.py")

    assert (done.returncode, done.stderr) == (4, "offload: There is no file 'nowhere.py'.\n")
