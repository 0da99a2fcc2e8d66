"""What users and operators of a site see while its processes come, go and fail."""

import itertools
import os
import re
import resource
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from tests.support.acceptance import wait_for_line
from tests.support.site import running_site

import offload
from offload import errors
from offload.control.blobs.digests import is_sha256

PAUSE_SECONDS = 3.0  # the longest that a restart of the server may be felt: promised
USUAL_DOWNTIME_SECONDS = 0.7  # of a server that is ended and started again, on two free cores

KEYED = """
import offload

app = offload.App("reports")

@app.function(cpu=0.1, memory=128)
def report(day: str) -> str:
    return f"the report of {day}"

@app.local_entrypoint()
def main(day: str):
    call = report.with_options(idempotency_key="monday").spawn(day)
    print(call.object_id, call.get())
"""

UNLICENSED = """
import os
import time
import offload

app = offload.App("unlicensed")

class Licence:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return look_for, (self.path,)

def look_for(path):
    print("looking for the licence")
    if not os.path.exists(path):
        raise ImportError("the licence is missing")
    return Licence(path)

licence = Licence(os.path.join(os.path.dirname(__file__), "licence"))

@app.function(cpu=0.1, memory=128)
def work() -> str:
    return f"worked with {licence.path}"

@app.local_entrypoint()
def main():
    try:
        work.remote()
    except offload.errors.ContainerStartError as error:
        print(f"{error} | {error.last_lines}", flush=True)
    while not os.path.exists(licence.path):
        time.sleep(0.05)
    print(work.remote())
"""

app = offload.App("site")


@app.function(cpu=0.25, memory=128)
def step(number):
    threading.Event().wait(0.003)
    print(f"ran {number}.")  # noqa: T201  # counts executions
    return number


@app.function(cpu=1, memory=128)
def turn(number):
    threading.Event().wait(0.05)
    return number


@app.function(cpu=1, memory=128)
def other():
    return "other"


@app.function(cpu=0.1, memory=128)
def outlive():
    print("begun", flush=True)  # noqa: T201  # how the test sees it
    threading.Event().wait(60)


@app.function(cpu=0.1, memory=128)
def large(_):
    return os.urandom(100_000)


def start(site, *names, cpu="1"):
    for name in names:
        site.start_worker(name, "--cpu", cpu, "--memory", "2048")


def until(condition, seconds=60):
    """Return once the condition holds; fail where that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        threading.Event().wait(0.02)


@pytest.fixture
def site(tmp_path):
    with running_site(tmp_path, "--worker-lost-seconds", "1") as site:
        yield site


def test_the_same_key_is_the_same_call_in_another_process_and_after_the_app_ended(site):
    start(site, "w1")
    program = site.user.write("keyed.py", KEYED)
    at_once = [site.user.start("run", program, "--day", day) for day in ("mon", "tue")]

    outputs = [process.communicate(timeout=60) for process in at_once]
    later = site.user.run("run", program, "--day", "wed")

    said = {out for out, _ in outputs} | {later.stdout}
    assert len(said) == 1, (outputs, later)
    assert "the report of " in said.pop()


def map_during(site, disturb):
    """Run a map for as long as `disturb` takes; return its results and when each came."""
    seen, times = [], []
    is_over = threading.Event()

    def run():
        try:
            disturb(seen)
        finally:
            is_over.set()

    disturbing = threading.Thread(target=run)
    numbers = itertools.takewhile(lambda _: not is_over.is_set(), itertools.count())
    with site.calls(), app.run():
        for number in step.map(numbers):
            seen.append(number)
            times.append(time.monotonic())
            if number == 20:
                disturbing.start()
    disturbing.join()
    return seen, times


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_restarts_of_the_server_during_a_map_are_pauses_and_nothing_else(site, how, capsys):
    start(site, "w1")

    downtimes = []

    def restart(seen):
        for _ in range(3):
            began = time.monotonic()
            site.end_server(how)
            site.start_server()
            downtimes.append(time.monotonic() - began)
            enough = len(seen) + 50
            until(lambda enough=enough: len(seen) > enough)

    seen, times = map_during(site, restart)

    assert seen == list(range(len(seen)))
    # A machine that is busy with other things takes longer to start a Python, and longer for all that follows.
    allowed = PAUSE_SECONDS * max(1.0, max(downtimes) / USUAL_DOWNTIME_SECONDS)
    assert max(after - before for before, after in itertools.pairwise(times)) < allowed
    if how is signal.SIGTERM:
        assert_each_ran_once(seen, capsys.readouterr().out)


def test_a_worker_that_is_drained_during_a_map_loses_nothing_and_repeats_nothing(site, capsys):
    start(site, "w1", "w2")
    said = []

    seen, _ = map_during(
        site, lambda _: said.append(site.user.run("worker", "drain", "w2", "--wait"))
    )

    assert seen == list(range(len(seen)))
    assert_each_ran_once(seen, capsys.readouterr().out)
    assert said[0].stdout == "Worker w2 has left.\n"
    assert site.workers["w2"].wait(10) == 0
    assert [worker["name"] for worker in site.user.status()["workers"]] == ["w1"]


def assert_each_ran_once(seen, output):
    lines = [line.rpartition("ran ")[2] for line in output.splitlines() if "ran " in line]
    assert sorted(lines) == sorted(f"{number}." for number in seen)


def test_a_function_that_cannot_start_fails_what_waits_with_the_reason_and_recovers_when_mended(
    site,
):
    start(site, "w1")
    program = site.user.write("unlicensed.py", UNLICENSED)
    process = site.user.start("run", program)

    refused = wait_for_line(process, "licence is missing")
    site.user.write("licence", "valid")
    out, err = process.communicate(timeout=60)

    assert refused.startswith(
        "function 'work' could not be loaded: ImportError: the licence is missing"
    )
    assert refused.endswith("| ('looking for the licence',)\n")
    assert out.splitlines()[-1].startswith("worked with"), err


def test_a_worker_that_can_start_nothing_is_quarantined_and_shown_as_such(site):
    start(site, "broken", cpu="2")
    pid = site.workers["broken"].pid
    is_open = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (is_open, is_open))
    with site.calls(), app.run():
        calls = [turn.spawn(1), other.spawn()]
        until(lambda: site.user.status()["workers"][0]["state"] == "quarantined")
        shown = site.user.run("status").stdout
        start(site, "well", cpu="2")
        results = [call.get() for call in calls]

    assert re.search(
        r"broken +quarantined .* containers could not start on it: .*; trying again in", shown
    )
    assert results == [1, "other"]


def test_an_input_whose_workers_vanish_is_lost_and_says_with_how_many(site):
    with site.calls(), app.run():
        call = outlive.spawn()
        for round_ in range(3):
            start(site, f"w{round_}")
            until(lambda n=round_: site.user.run("logs", call.object_id).stdout.count("begun") > n)
            site.workers[f"w{round_}"].kill()
            site.workers[f"w{round_}"].wait()

        with pytest.raises(errors.InputLostError, match="lost with 3 workers, the last of them w2"):
            call.get()
        letters = offload.dead_letters(app)

    assert [letter.call_id for letter in letters] == [call.object_id]


def test_workspaces_get_their_shares_at_once_and_no_more_than_their_bounds(tmp_path):
    options = ("--workspace", "small=1", "--workspace", "large=3", "--workspace", "bounded=1:2")

    def containers():
        return {each["name"]: each["containers"] for each in site.user.status()["workspaces"]}

    def pending(name):
        return {each["name"]: each["pending"] for each in site.user.status()["workspaces"]}[name]

    with running_site(tmp_path, *options) as site, site.calls():
        start(site, "w1", cpu="4")
        with app.run(workspace="bounded"):
            bounded = turn.spawn_map(range(1000))
            until(lambda: containers().get("bounded") == 2)
            (reason,) = {each["reason"] for each in site.user.status()["pending"][:1]}
            bounded.cancel()
        with app.run(workspace="large"):
            turn.spawn_map(range(1000))
            until(lambda: containers().get("large") == 4)
        with app.run(workspace="small"):
            other.remote()
            still_pending = pending("large")
            turn.spawn_map(range(1000))
            until(lambda: containers() | {"bounded": 0} == {"bounded": 0, "large": 3, "small": 1})
        shown = site.user.run("status").stdout

    assert reason.endswith("workspace 'bounded' has all of its 2 containers in use")
    assert still_pending > 800
    assert "75%" in shown


def test_what_ended_long_ago_has_expired_and_its_room_is_free_again(tmp_path):
    with running_site(tmp_path, "--retention-days", str(1 / 86_400)) as site, site.calls():
        start(site, "w1")
        with app.run():
            call = large.spawn_map(range(20))
            call.get()
        found = (site.data_dir / "blobs").rglob("*")
        blobs = [path for path in found if is_sha256(path.name)]  # small ones share files
        long_ago = time.time() - 7200  # noqa: TID251  # an upload is spared for an hour
        for path in blobs:
            os.utime(path, (long_ago, long_ago))

        until(lambda: rows_of(site) == 0)
        for ask in (call.get, call.status, call.cancel):
            with pytest.raises(errors.OutputExpiredError, match=r"is kept for 1 s after its end"):
                ask()
        shown = site.user.run("calls", "get", call.object_id)
        until(lambda: not any(path.exists() for path in blobs))

    assert len(blobs) == 20
    assert shown.returncode == 4
    assert "has expired" in shown.stderr


def rows_of(site):
    """Count what the database keeps of inputs, their outcomes and their output."""
    with sqlite3.connect(f"file:{site.data_dir}/offload.db?mode=ro", uri=True) as connection:
        return sum(
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # our own names
            for table in ("calls", "inputs", "outcomes")
        )
