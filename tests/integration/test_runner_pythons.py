"""The runner as a guest of other interpreters than ours: every CPython from 3.9 on that can be found.

Interpreters are looked for in the folders that OFFLOAD_TEST_PYTHONS lists (as PATH does), then in those of PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.support.runner import RunnerProcess
from tests.support.web_runner import get, whole_response

from offload.wire import guest
from offload.worker.runtimes.packages import link_guest_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")

FUNCTIONS = """
import asyncio, os, sys, threading

def describe(a, *, b):
    print("describing", a)
    return {"a": a, "b": b}

def fail(x):
    raise ValueError(f"no {x}")

def count(n):
    for number in range(n):
        yield number

async def add(x):
    await asyncio.sleep(0)
    return x + 1

def wait_in_a_lock():
    threading.Event().wait()

def spin():
    while True:
        pass

async def wait_in_a_loop():
    await asyncio.Event().wait()

def leave():
    os._exit(7)

def wait_beside(name):
    print("came", name)
    try:
        while True:
            threading.Event().wait(0.01)
    except BaseException as error:
        print("ends", name, error)
        raise

async def wait_beside_in_a_loop(name):
    print("came", name)
    try:
        await asyncio.sleep(60)
    finally:
        print("ends", name, "enough")

def double_all(xs):
    return [2 * x for x in xs]

async def double_all_in_a_loop(xs):
    return [2 * x for x in xs]

from offload.sdk.web_marks import Endpoint

def asgi_site():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})
    return app

def wsgi_site():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(environ["PATH_INFO"])))])
        return [environ["PATH_INFO"].encode()]
    return app

def page(rest: str, times: int = 1):
    from offload.sdk.web_values import WebResponse
    return WebResponse("/" + rest * times)

asgi_site.__offload_web__ = Endpoint("asgi")
wsgi_site.__offload_web__ = Endpoint("wsgi")
page.__offload_web__ = Endpoint("function", ("GET",), "/{rest:path}")
"""

# By value and by that interpreter itself: code objects are each version's own.
PICKLE = """
import sys
root, source, name = sys.argv[1:]
sys.path.append(root)
import cloudpickle
space = {"__name__": "__main__"}
exec(compile(source, "<functions>", "exec"), space)
sys.stdout.buffer.write(cloudpickle.dumps(space[name], 5))
"""


@dataclass(frozen=True)
class Python:
    """An interpreter, where its modules are, and a folder with what the guest needs."""

    version: str
    executable: str
    path: tuple[str, ...]
    guest_root: str

    def start(self) -> RunnerProcess:
        return RunnerProcess(python=self.executable, guest_root=self.guest_root)

    def load(
        self,
        runner: RunnerProcess,
        name: str,
        *,
        is_generator: bool = False,
        calls: tuple[int, int, float] = (1, 0, 0.0),
    ) -> None:
        command = [self.executable, "-I", "-c", PICKLE, self.guest_root, FUNCTIONS, name]
        code = subprocess.run(command, check=True, capture_output=True).stdout
        fault = runner.load(
            guest.Body("cloudpickle", code), is_generator=is_generator, path=self.path, calls=calls
        )
        assert fault is None


@pytest.fixture(scope="module", params=VERSIONS)
def python(request: pytest.FixtureRequest) -> Iterator[Python]:
    name = f"python{request.param}"
    folders = [os.environ.get(variable, "") for variable in ("OFFLOAD_TEST_PYTHONS", "PATH")]  # noqa: TID251
    found = shutil.which(name, path=os.pathsep.join(filter(None, folders)))
    # A version manager's stand-in is there and does not run.
    asked = found and subprocess.run(
        [found, "-I", "-c", "import json, sys; print(json.dumps([sys.executable, *sys.path]))"],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    if not asked or asked.returncode:
        pytest.skip(f"there is no {name}: name its folder in OFFLOAD_TEST_PYTHONS")
    executable, *path = json.loads(asked.stdout)
    with link_guest_packages() as root:
        yield Python(request.param, executable, tuple(path), root)


@pytest.mark.parametrize("name", ["asgi_site", "wsgi_site", "page"])
def test_a_request_is_answered(python: Python, name: str) -> None:
    with python.start() as runner:
        python.load(runner, name)
        head, body = whole_response(runner, get("/a/b"))

    assert (head.status, body) == (200, b"/a/b")


def test_a_value_an_error_and_what_is_printed_come_back(python: Python) -> None:
    with python.start() as runner:
        python.load(runner, "describe")

        value = runner.value(runner.call((1, "x"), b=[2]))
        fault = runner.call().fault

        version = next(m.python_version for m in runner.seen if isinstance(m, guest.Hello))
        assert version.startswith(f"{python.version}.")
        assert value == {"a": (1, "x"), "b": [2]}
        assert ("in-1", "stdout", "describing (1, 'x')") in runner.lines()
        assert fault is not None
        assert fault.type_name == "TypeError"


def test_an_exception_names_the_line_that_raised_it(python: Python) -> None:
    with python.start() as runner:
        python.load(runner, "fail")

        fault = runner.call(3).fault

        assert fault is not None
        assert (fault.type_name, fault.message) == ("ValueError", "no 3")
        assert fault.frames[-1].function == "fail"


def test_a_generator_yields_and_a_coroutine_is_awaited(python: Python) -> None:
    with python.start() as runner:
        python.load(runner, "count", is_generator=True)
        runner.call(3)
        items = runner.items()
    with python.start() as runner:
        python.load(runner, "add")
        added = runner.value(runner.call(1))

    assert items == [0, 1, 2]
    assert added == 2


@pytest.mark.parametrize("place", ["wait_in_a_lock", "spin", "wait_in_a_loop"])
def test_a_cancelled_input_is_interrupted_wherever_it_is(python: Python, place: str) -> None:
    with python.start() as runner:
        python.load(runner, place)
        runner.run("in-1")
        runner.wait_for(guest.Begun)

        runner.send(guest.Cancel(("in-1",), timed_out=False, reason="by its caller"))

        assert runner.result().interrupted


@pytest.mark.parametrize("place", ["wait_beside", "wait_beside_in_a_loop"])
def test_inputs_run_beside_one_another_and_one_of_them_is_interrupted(
    python: Python, place: str
) -> None:
    with python.start() as runner:
        python.load(runner, place, calls=(3, 0, 0.0))
        runner.send(guest.Run(tuple(runner.task(f"in-{name}", name) for name in "abc")))
        while not {f"came {name}" for name in "abc"} <= {text for _, _, text in runner.lines()}:
            runner.wait_for(guest.Outputs)

        runner.send(guest.Cancel(("in-b",), timed_out=False, reason="enough"))
        result = runner.result()

        assert (result.input_id, result.interrupted) == ("in-b", True)
        ends = [line for line in runner.lines() if line[2].startswith("ends")]
        assert ends == [("in-b", "stdout", "ends b enough")]


@pytest.mark.parametrize("place", ["double_all", "double_all_in_a_loop"])
def test_a_batch_is_one_call(python: Python, place: str) -> None:
    with python.start() as runner:
        python.load(runner, place, calls=(1, 3, 10.0))
        runner.send(guest.Run(tuple(runner.task(f"in-{n}", n) for n in range(3))))

        values = {result.input_id: runner.value(result) for result in runner.results(3)}

        assert values == {"in-0": 0, "in-1": 2, "in-2": 4}


def test_a_runner_that_is_told_to_stop_ends_in_good_order(python: Python) -> None:
    with python.start() as runner:
        python.load(runner, "add")

        runner.send(guest.Stop())

        assert runner.wait_end() == (0, "")
