"""What a container imports before it can run anything: each of these modules would cost all of them milliseconds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.runner import GUEST_ROOT, RunnerProcess

from offload import runner

# Each takes 1 to 20 ms to import, alone or by what it brings.
SLOW = {
    "asyncio", "cloudpickle", "contextvars", "dataclasses", "enum", "inspect", "json", "logging", "pathlib",
    "pickle", "re", "selectors", "signal", "socket", "subprocess", "tempfile", "threading", "traceback", "typing",
    "weakref",
}  # fmt: skip


def imported(importtime: str) -> set[str]:
    """The modules named by what `-X importtime` wrote."""
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines[1:]}


def imported_by_site() -> set[str]:
    """The modules that this environment's own `.pth` files bring, whoever runs."""
    command = [sys.executable, "-I", "-X", "importtime", "-c", "pass"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return imported(done.stderr)


def test_nothing_slow_is_imported_before_the_runner_says_hello():
    ours, theirs = socket.socketpair()
    ours.close()  # so that the runner ends where it says hello: nobody is there
    stderr_read, stderr_write = os.pipe()
    order = [GUEST_ROOT, str(theirs.fileno()), str(stderr_write), "CORE=0"]
    boot = str(Path(runner.__file__).with_name("boot.py"))

    subprocess.run(
        [sys.executable, "-X", "importtime", "-I", "-S", boot, *order],
        pass_fds=[theirs.fileno(), stderr_write],
        stderr=stderr_write,
        check=False,
    )
    os.close(stderr_write)
    theirs.close()
    with os.fdopen(stderr_read) as said:
        modules = imported(said.read())

    assert "offload.wire.guest" in modules
    assert "offload.runner.execute" not in modules
    assert not modules & SLOW
    assert len(modules) <= 60


def test_nothing_slow_is_imported_before_the_first_result_of_a_function_that_travels_by_value():
    def double(value: int) -> int:
        return 2 * value

    with RunnerProcess("-X", "importtime") as started:
        fault = started.load(double)
        result = started.call(21)
        started.socket.close()
        _, stderr = started.wait_end()

    assert fault is None
    assert started.value(result) == 42
    modules = imported(stderr) - imported_by_site()
    assert "offload.runner.execute" in modules
    assert not modules & {"offload.runner.asking", "offload.wire.guest.asks"}  # nothing was asked
    assert not modules & SLOW
