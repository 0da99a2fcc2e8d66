"""User code that harms its own process, among innocents: only the guilty input fails, in one line that says why."""

import asyncio
import ctypes
import gc
import os
import select
import signal
import socket
import stat
import sys
import threading

import pytest

from offload import App, errors, testing

app = App("misbehaviour")
INNOCENTS = list(range(12))
GUILTY = 5


def leave():
    os._exit(3)


def fault():
    ctypes.string_at(0)


def hoard():
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)))


def exit_politely():
    sys.exit(4)


def recurse():
    return recurse()


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def worker_sockets():
    """Return the descriptors that are sockets: in a container there is only the runner's."""
    found = []
    for descriptor in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                found.append(descriptor)
        except OSError:
            continue
    return found


def close_the_socket():
    for descriptor in worker_sockets():
        socket.socket(fileno=os.dup(descriptor)).shutdown(socket.SHUT_RDWR)
    threading.Event().wait(30)


def write_garbage():
    for descriptor in worker_sockets():
        os.write(descriptor, b"\xff" * 64)
    threading.Event().wait(30)


def fork_without_end():
    children = 0
    try:
        while True:
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children += 1
    except OSError as error:
        raise RuntimeError(f"no more after {children} forks: {error.strerror}") from None


CRIMES = {
    crime.__name__: crime
    for crime in (
        leave,
        fault,
        hoard,
        exit_politely,
        recurse,
        kill_itself,
        close_the_socket,
        write_garbage,
        fork_without_end,
    )
}


@app.function(memory=256)
def work(number, crime):
    if number == GUILTY:
        CRIMES[crime]()
    return number


@app.function()
def close_stdout(number):
    if number == GUILTY:
        sys.stdout.close()
        os.close(1)
    return number


@app.function()
def kill_the_first_process(number):
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(1, signal.SIGKILL)
    return number


@app.function()
def flood(lines):
    for _ in range(lines):
        print("x" * 200)  # noqa: T201  # what is tested
    return lines


@app.function(timeout=0.5)
def too_long(kind):
    if kind == "sleep":
        select.select([], [], [], 60)
    while True:
        gc.isenabled()


@app.function(timeout=0.5)
async def too_long_async():
    await asyncio.Event().wait()


@app.function()
def never_ends(kind):
    yield "begun"
    while kind == "spin":
        gc.isenabled()
    threading.Event().wait(60)


@app.function()
async def never_ends_async():
    yield "begun"
    await asyncio.Event().wait()


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    with testing.local_stack(tmp_path_factory.mktemp("stack")), app.run():
        yield


REASONS = [
    ("leave", errors.ContainerExitError, "3"),
    ("fault", errors.ContainerExitError, "SIGSEGV"),
    ("hoard", MemoryError, "(?i)memory"),
    ("exit_politely", SystemExit, "4"),
    ("recurse", RecursionError, "recursion"),
    ("kill_itself", errors.ContainerExitError, "SIGKILL"),
    ("close_the_socket", errors.ContainerExitError, "."),
    ("write_garbage", errors.ContainerExitError, "."),
    # Whichever limit it meets first: that of processes, or that of the memory they take.
    ("fork_without_end", (RuntimeError, MemoryError), "Resource temporarily|memory limit"),
]


@pytest.mark.parametrize(("crime", "error", "reason"), REASONS, ids=[row[0] for row in REASONS])
def test_only_the_guilty_input_fails_and_says_why(crime, error, reason):
    inputs = [(number, crime) for number in INNOCENTS]

    results = list(work.starmap(inputs, return_exceptions=True))

    guilty = results.pop(GUILTY)
    assert results == [number for number in INNOCENTS if number != GUILTY]
    with pytest.raises(error, match=reason):
        raise guilty
    assert "\n" not in str(guilty)


def test_a_closed_stdout_harms_nobody():
    assert list(close_stdout.map(INNOCENTS)) == INNOCENTS


def test_a_container_cannot_kill_its_own_first_process():
    assert kill_the_first_process.remote(1) == 1


def test_a_flood_of_output_arrives_with_the_result(capsys):
    assert flood.remote(20_000) == 20_000

    shown = capsys.readouterr().out.count("x" * 200)
    assert shown > 0


@pytest.mark.parametrize("kind", ["sleep", "spin"])
def test_an_input_that_takes_too_long_is_ended(kind):
    with pytest.raises(errors.FunctionTimeoutError):
        too_long.remote(kind)


def test_async_code_that_takes_too_long_is_ended():
    with pytest.raises(errors.FunctionTimeoutError):
        too_long_async.remote()


@pytest.mark.parametrize("kind", ["wait", "spin"])
def test_an_input_that_runs_is_cancelled(kind):
    call = never_ends.spawn(kind)
    items = call.stream()
    assert next(items) == "begun"

    call.cancel()

    with pytest.raises(errors.InputCancelledError):
        list(items)
    assert call.status().state == "cancelled"


def test_async_code_that_runs_is_cancelled():
    call = never_ends_async.spawn()
    items = call.stream()
    assert next(items) == "begun"

    call.cancel()

    with pytest.raises(errors.InputCancelledError):
        list(items)
