"""How calls are treated, on a real server, a real worker and real containers."""

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
from tests.support.acceptance import wait_for_line
from tests.support.site import running_site

import offload
from offload import errors

app = offload.App("dispatch")
MANY = 100_000
CANCEL_SECONDS = (
    1.0  # promised; of the server's own time, as other programs may keep a test waiting
)


def say(text):
    print(text)  # noqa: T201  # how a test hears of it


@app.function(max_containers=1, cpu=0.1, memory=128)
def step(*, hold=False):
    yield "begun"
    if hold:
        threading.Event().wait(60)
    yield time.monotonic_ns()


@app.function(cpu=0.1, memory=128)
def moment(*_):
    return time.monotonic_ns()


@app.function(cpu=0.1, memory=128)
def fail(what):
    raise ValueError(what)


@app.function(cpu=0.1, memory=128)
def wait():
    threading.Event().wait(60)


@app.function(
    cpu=0.1, memory=128, retries=offload.Retries(2, initial_delay=0.4, backoff_coefficient=2)
)
def fail_thrice():
    say(f"tried at {time.monotonic():.3f}")
    raise ValueError("again")


@app.function(cpu=0.1, memory=128, max_containers=1)
def clean_up(_):
    say("begun")
    try:
        threading.Event().wait(60)
    except errors.InputCancellation:
        say("cleaned up")
        raise


def leave():
    os._exit(3)


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def hoard():
    return len(bytearray(os.urandom(1 << 20)) * 512)


def take_long():
    threading.Event().wait(60)


def divide():
    return 1 / 0


ENDS = {end.__name__: end for end in (leave, kill_itself, hoard, take_long, divide)}


@app.function(cpu=0.1, memory=128, timeout=1)
def end(how):
    ENDS[how]()


@app.function(cpu=0.1, memory=128)
def invert(number):
    return 1 / number


@app.function(cpu=0.1, memory=128, retries=offload.Retries(10, initial_delay=0))
def kill_every_container():
    kill_itself()


@app.function(cpu=0.1, memory=128, gpu="H100")
def devices():
    yield os.environ["CUDA_VISIBLE_DEVICES"]  # noqa: TID251  # the container's
    threading.Event().wait(60)


@app.function(cpu=0.1, memory=128, labels={"room": "attic"})
def in_the_attic():
    return 1


@app.function(cpu=1000)
def huge():
    pass


@app.function(labels={"room": "cellar"})
def in_the_cellar():
    pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running_site(tmp_path_factory.mktemp("site")) as site:
        size = ("--cpu", "4", "--memory", "4096", "--gpus", "2:H100", "--label", "room=attic")
        site.start_worker("w1", *size)
        yield site


@pytest.fixture(autouse=True)
def running(site):
    with site.calls(), app.run():
        yield


def begun(call):
    """Return the call once it runs."""
    assert next(call.stream())
    return call


def reason_of(site, call):
    """Return why the call's only input ended, as the command line shows it."""
    shown = json.loads(site.user.run("calls", "get", call.object_id, "--json").stdout)
    (only,) = shown["inputs"]
    return only["reason"]


def cpu_seconds(pid):
    """Return how long a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_text(site, call, text):
    """Return once the call has printed it; what a cancelled call still prints comes after its end."""
    while text not in site.user.run("logs", call.object_id).stdout:
        pass


def ready_of(site, function, count):
    """Return how many containers of a function are ready once it is that many."""
    while True:
        containers = site.user.status()["containers"]
        states = [each["state"] for each in containers if each["function_name"] == function]
        if states.count("ready") == count and len(states) == count:
            return count


def test_a_busy_container_takes_higher_priorities_first_and_older_calls_among_equals():
    busy = begun(step.spawn(hold=True))
    low, first, second, high = (
        step.with_options(priority=priority).spawn() for priority in (-1, 0, 0, 10)
    )

    busy.cancel()
    ends = {call: list(call.stream())[-1] for call in (low, first, second, high)}

    assert sorted(ends, key=ends.get) == [high, first, second, low]


def test_a_diamond_of_calls_runs_in_its_order():
    top = moment.spawn()
    left, right = (moment.with_options(after=top).spawn() for _ in range(2))
    bottom = moment.with_options(after=[left, right.object_id]).spawn()

    times = [call.get() for call in (top, left, right, bottom)]

    assert times[0] < min(times[1:3])
    assert max(times[1:3]) < times[3]


def test_what_comes_after_a_failed_call_names_it_and_a_cleanup_runs_anyway():
    root = fail.spawn("disk on fire")
    middle = moment.with_options(after=root).spawn()
    last = moment.with_options(after=middle).spawn()
    cleanup = moment.with_options(after=[last], run_anyway=True).spawn()

    with pytest.raises(errors.DependencyError) as refused:
        last.get()

    assert cleanup.get() > 0
    assert str(refused.value) == (
        f"blocked by {middle.object_id} <- {root.object_id}, which failed: ValueError: disk on fire"
    )


def test_a_call_as_a_whole_ends_in_time_running_or_blocked():
    blocker = wait.spawn()
    running = wait.with_options(call_timeout=1).spawn()
    blocked = moment.with_options(call_timeout=1, after=blocker).spawn()

    for call in (running, blocked):
        with pytest.raises(errors.FunctionTimeoutError, match="not over within its 1 s"):
            call.get()

    blocker.cancel()


def test_retries_wait_for_the_upper_half_of_what_their_delays_may_be(capsys):
    with pytest.raises(ValueError, match="again"):
        fail_thrice.remote()

    times = [float(found) for found in re.findall(r"tried at ([\d.]+)", capsys.readouterr().out)]
    first, second = times[1] - times[0], times[2] - times[1]
    assert len(times) == 3
    assert 0.2 <= first < 0.4 + 60
    assert 0.4 <= second < 0.8 + 60


def test_cancelling_a_hundred_thousand_inputs_takes_less_than_a_second_and_lets_what_runs_clean_up(
    site,
):
    call = clean_up.spawn_map(range(MANY))
    follower = site.user.start("logs", "-f", call.object_id)
    wait_for_line(follower, "begun")

    before = cpu_seconds(site.server.pid)
    call.cancel("wrong inputs")
    status = call.status()
    took = cpu_seconds(site.server.pid) - before

    assert took < CANCEL_SECONDS
    assert (status.state, status.counts) == ("cancelled", {"cancelled": MANY})
    follower.communicate(timeout=60)
    wait_for_text(site, call, "cleaned up")
    with pytest.raises(errors.InputCancelledError, match=r"cancelled by .+: wrong inputs"):
        call.get()


def test_every_end_says_why_in_one_line_in_the_error_and_in_the_list_of_inputs(site):
    calls = {how: end.spawn_map([how]) for how in ENDS}

    said = {}
    for how, call in calls.items():
        with pytest.raises((Exception, SystemExit)) as error:
            call.get()
        said[how] = (type(error.value), str(error.value), reason_of(site, call))

    assert said["leave"][:2] == (
        errors.ContainerExitError,
        "its container exited with code 3 (os._exit or the like)",
    )
    assert said["kill_itself"][:2] == (
        errors.ContainerExitError,
        "its container was ended by signal SIGKILL (9)",
    )
    assert said["take_long"][:2] == (
        errors.FunctionTimeoutError,
        "ran longer than its timeout of 1 s",
    )
    assert said["divide"] == (
        ZeroDivisionError,
        "division by zero",
        "ZeroDivisionError: division by zero",
    )
    assert issubclass(said["hoard"][0], MemoryError)
    for how in ("leave", "kill_itself", "take_long"):
        assert said[how][2] == said[how][1]


def test_of_a_map_those_that_did_not_succeed_are_listed_first(site):
    call = invert.spawn_map([*range(1, 40), 0, 1])
    with pytest.raises(ZeroDivisionError):
        call.get()

    shown = site.user.run("calls", "get", call.object_id, "--inputs", "3", "--json")

    listed = [(each["index"], each["reason"]) for each in json.loads(shown.stdout)["inputs"]]
    assert listed[0] == (39, "ZeroDivisionError: division by zero")
    assert [reason for _, reason in listed[1:]] == ["", ""]


def test_an_input_that_kills_its_containers_is_a_dead_letter_that_can_be_replayed_and_dropped(site):
    call = kill_every_container.spawn()
    with pytest.raises(errors.InputLostError, match="it ended 3 containers") as lost:
        call.get()

    letters = {letter.call_id: letter for letter in offload.dead_letters(app)}
    input_id = letters[call.object_id].input_id
    listed, shown = (site.user.run("dlq", *words).stdout for words in (["ls"], ["show", input_id]))
    replayed = letters[call.object_id].replay()
    with pytest.raises(errors.InputLostError):
        replayed.get()
    (again,) = offload.dead_letters(app)
    dropped = site.user.run("dlq", "drop", again.input_id)

    assert letters[call.object_id].reason == str(lost.value)
    assert input_id in listed
    assert str(lost.value) in shown
    assert again.call_id == replayed.object_id
    assert dropped.returncode == 0, dropped.stderr
    assert offload.dead_letters(app) == []


def test_two_containers_get_different_gpus_and_a_third_says_what_it_waits_for(site):
    first, second = begun(devices.spawn()), begun(devices.spawn())
    third = devices.spawn()

    (pending,) = site.user.status()["pending"]
    seen = {next(call.stream()) for call in (first, second)}
    first.cancel()
    freed = next(third.stream())
    for call in (second, third):
        call.cancel()

    assert pending["reason"] == (
        "waiting for its turn: it is the next of this function; "
        "no further container: needs 1 gpu, all fitting ones of 1 worker are in use"
    )
    assert seen == {"0", "1"}
    assert freed in seen


def test_labels_choose_the_worker_and_what_none_can_ever_run_is_said_at_once(site, capsys):
    ran = in_the_attic.remote()
    calls = [huge.spawn(), in_the_cellar.spawn()]

    reasons = {each["call_id"]: each["reason"] for each in site.user.status()["pending"]}
    said = ""
    while "1 input waits: no worker can ever run it: needs 1000 cpus" not in said:
        said += capsys.readouterr().err
        threading.Event().wait(0.05)
    for call in calls:
        call.cancel()

    assert ran == 1
    assert [reasons[call.object_id] for call in calls] == [
        "no worker can ever run it: needs 1000 cpus, the largest worker has 4",
        "no worker has the labels room=cellar",
    ]


def test_containers_are_kept_ready_from_the_moment_they_are_asked_for(site):
    moment.update_autoscaler(min_containers=2)
    kept = ready_of(site, "moment", 2)
    moment.update_autoscaler(min_containers=0, buffer_containers=1, scaledown_window=1)
    moment.remote()
    ready_of(site, "moment", 0)

    assert kept == 2
