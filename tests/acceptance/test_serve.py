"""`offload serve`: every saved change is taken in, and one that is broken changes nothing."""

import signal

from tests.support.acceptance import wait_for_line

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


def test_a_file_that_is_not_there_is_named(user):
    done = user.run("serve", "nowhere.py")

    assert (done.returncode, done.stderr) == (4, "offload: There is no file 'nowhere.py'.\n")
