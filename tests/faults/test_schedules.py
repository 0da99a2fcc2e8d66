"""A server that is killed around the ticks of a schedule fires each of them once all the same."""

import json
import os
import signal
import threading

from offload.cli.show import wall_clock

PROGRAM = """
import offload

app = offload.App("clockwork")

@app.function(schedule=offload.Period(seconds=1, missed="all"))
def tick() -> int:
    print("ticked", flush=True)
    return 1
"""

# Seconds before and after a tick; what is decided then is about to be written, just written, or under way.
MOMENTS = (-0.01, 0.0, 0.002, 0.005, 0.01, 0.03, 0.1)


def schedule(user):
    (found,) = json.loads(user.run("schedule", "ls", "--runs", "50", "--json").stdout)
    return found


def test_a_server_that_is_killed_around_its_ticks_fires_each_of_them_once(user):
    done = user.run("deploy", user.write("clockwork.py", PROGRAM))
    assert done.returncode == 0, done.stderr

    for moment in MOMENTS:
        at = schedule(user)["next_at"] + 1 + moment
        threading.Event().wait(max(0.0, at - wall_clock()))
        os.kill(user.stack()["server_pid"], signal.SIGKILL)
        user.run_python(user.write("wake.py", WAKES))  # whoever asks next has it started again

    paused = user.run("schedule", "pause", "clockwork")
    runs = [run for run in schedule(user)["runs"] if run["state"] != "manual"]
    calls = [run["call_id"] for run in runs]
    waited = user.run_python(user.write("waits.py", WAITS), words=(calls[0],))
    described = [json.loads(user.run("calls", "get", call, "--json").stdout) for call in calls]

    assert paused.returncode == waited.returncode == 0, waited.stderr
    ticks = [run["tick"] for run in reversed(runs)]
    assert ticks == [ticks[0] + n for n in range(len(ticks))], "a tick was lost, or came twice"
    assert len(ticks) > len(MOMENTS)
    assert {run["state"] for run in runs} == {"fired"}
    assert len(set(calls)) == len(calls)
    assert [call["counts"] for call in described] == [{"succeeded": 1}] * len(calls)
    assert [call["inputs"][0]["attempts"] for call in described] == [1] * len(calls)


WAITS = """
import sys
import offload

offload.FunctionCall.from_id(sys.argv[1]).get(timeout=60)
"""

WAKES = """
import offload

offload.Function.from_name("clockwork", "tick").remote()
"""
