"""Two workers at one server: a map uses both, and one that leaves in the middle takes nothing with it."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

import offload
from offload import testing

app = offload.App("two-workers")
shared = offload.Volume.ephemeral(app=app)
INPUTS = 300


# As large as a whole worker, so that there is one container on each.
@app.function(cpu=os.cpu_count())
def who_runs(number):
    import builtins  # noqa: PLC0415  # what lives as long as the container

    if not hasattr(builtins, "container"):
        builtins.container = uuid.uuid4().hex
    print(f"ran {number}.")  # noqa: T201  # counts executions
    threading.Event().wait(0.02)
    return number, builtins.container


@app.function(cpu=os.cpu_count(), volumes={"/data": shared})
def meet(number, arrivals):
    def wait_for_the_other(what):
        arrivals.put(what, partition=f"to {1 - number}")
        assert arrivals.get(timeout=60, partition=f"to {number}") == what

    wait_for_the_other("both run")
    Path("/data", f"by {number}").write_text("there")
    shared.commit()
    wait_for_the_other("both have committed")
    before = sorted(path.name for path in Path("/data").iterdir())
    shared.reload()
    return before, sorted(path.name for path in Path("/data").iterdir())


@pytest.fixture
def second_worker(tmp_path):
    with testing.local_stack(tmp_path / "stack") as url:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "offload", "worker", "--server-url", url),
                *("--token-file", str(tmp_path / "stack" / "token")),
                *("--data-dir", str(tmp_path / "second"), "--name", "second"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        yield process
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.timeout(90)
def test_a_worker_that_leaves_in_the_middle_of_a_map_loses_nothing_and_repeats_nothing(
    second_worker, capsys
):
    with app.run():
        results = who_runs.map(range(INPUTS))
        seen = []
        for result in results:
            seen.append(result)
            if len({container for _, container in seen}) == 2:
                break
        second_worker.send_signal(signal.SIGTERM)
        seen += results

    lines = capsys.readouterr().out
    assert [number for number, _ in seen] == list(range(INPUTS))
    assert [number for number in range(INPUTS) if lines.count(f"ran {number}.") != 1] == []
    assert second_worker.wait(timeout=60) == 0
    assert "Traceback" not in second_worker.stderr.read()


@pytest.mark.timeout(90)
@pytest.mark.usefixtures("second_worker")
def test_what_is_committed_on_one_worker_is_seen_on_the_other_after_a_reload():
    with offload.Queue.ephemeral() as arrivals, app.run():
        seen = list(meet.starmap([(0, arrivals), (1, arrivals)]))

    assert seen == [(["by 0"], ["by 0", "by 1"]), (["by 1"], ["by 0", "by 1"])]
