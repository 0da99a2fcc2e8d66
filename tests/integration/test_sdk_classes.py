"""Classes whose instances live in containers, through the SDK and a whole stack."""

# The hooks here run in containers and print.
# ruff: noqa: T201

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

import offload
from offload import errors, testing

app = offload.App("classes")

# An idle container ends at once, so that each call has a fresh one.
fresh = {"scaledown_window": 0}


class Lines:
    """Keeps what containers print and what is said of them."""

    def __init__(self):
        self.kept = []
        self.came = threading.Condition()

    def line(self, line):
        with self.came:
            self.kept.append(line)
            self.came.notify_all()

    def progress(self, pools):
        """See `Output`."""

    def texts(self, name=None):
        return [line.text for line in self.kept if name in (None, line.function_name)]

    def wait(self, text, name=None, seconds=60):
        with self.came:
            assert self.came.wait_for(lambda: text in self.texts(name), seconds)


@app.cls()
class Counter:
    start: int = offload.parameter(default=0)

    @offload.enter()
    def begin(self):
        self.count = self.start
        self.hooks = ["begin"]

    @offload.method()
    def add(self, by):
        self.count += by
        return self.count

    @offload.method()
    def numbers(self, n):
        for each in range(n):
            yield self.start + each

    @offload.method()
    async def later(self):
        await asyncio.sleep(0)
        return self.start

    @offload.method()
    def ask_another(self, start):
        return Counter(start=start).add.remote(1)

    @offload.method()
    def where(self):
        return os.environ["OFFLOAD_CONTAINER_ID"]  # noqa: TID251


@app.cls()
class Child(Counter):
    @offload.method()
    def add(self, by):
        return "child", super().add(by)


@app.cls(startup_timeout=20)
class Broken:
    @offload.enter()
    def begin(self):
        raise ConnectionError("no database")

    @offload.method()
    def f(self):
        """Never run."""


@app.cls(enable_memory_snapshot=True, **fresh)
class Snapped:
    @offload.enter(snap=True)
    def load(self):
        self.loaded = time.monotonic_ns()

    @offload.enter()
    def connect(self):
        # The parent of a forked container is outside of its pid namespace.
        self.entered = time.monotonic_ns()

    @offload.method()
    def look(self):
        return os.getppid() == 0, self.loaded, self.entered


@app.cls(**fresh)
class Unsnapped:
    @offload.enter(snap=True)
    def load(self):
        self.loaded = time.monotonic_ns()

    @offload.method()
    def look(self):
        return os.getppid() == 0, self.loaded


@app.cls(enable_memory_snapshot=True, **fresh)
class Unforkable:
    @offload.enter(snap=True)
    def load(self):
        self.pipe = os.pipe()

    @offload.method()
    def look(self):
        return os.getppid() == 0


@app.cls(**fresh)
class FailsForked:
    @offload.enter()
    def begin(self):
        if os.getppid() == 0:
            print("forked")
            raise RuntimeError("not in a fork")

    @offload.method()
    def look(self):
        return os.getppid() == 0


@app.cls(timeout=0.5)
class Overdue:
    @offload.method()
    def wait(self, seconds):
        threading.Event().wait(seconds)
        return os.environ["OFFLOAD_CONTAINER_ID"]  # noqa: TID251

    @offload.exit()
    def close(self):
        print("left")


@app.cls(**fresh)
class Leaving:
    @offload.method()
    def f(self):
        return 1

    @offload.exit()
    def close(self):
        print("left")

    @offload.exit()
    def fail(self):
        raise OSError("closed twice")


@app.cls(single_use_containers=True)
class Single:
    @offload.method()
    def f(self):
        return os.environ["OFFLOAD_CONTAINER_ID"]  # noqa: TID251

    @offload.exit()
    def close(self):
        print("left")


@app.cls()
@offload.concurrent(max_inputs=5)
class Together:
    @offload.enter()
    async def open(self):
        self.inside = 0
        self.full = asyncio.Event()

    @offload.method()
    async def meet(self, _):
        self.inside += 1
        if self.inside == 5:
            self.full.set()
        await self.full.wait()
        return self.inside


@app.cls()
class Batch:
    @offload.method()
    @offload.batched(max_batch_size=4, wait_ms=5000)
    def double(self, values):
        return [(2 * value, len(values)) for value in values]


lines = Lines()


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    with testing.local_stack(tmp_path_factory.mktemp("stack")), app.run(output=lines):
        yield


def look_until_forked(look):
    """Call until a container was forked; return what each said."""
    said = [look.remote()]
    while not said[-1][0]:
        said.append(look.remote())
    return said


def test_one_pool_serves_all_methods_with_the_state_of_its_instance():
    counter = Counter()

    added = [counter.add.remote(2), counter.add.remote(3), *counter.add.map([1, 1])]

    assert added[:2] == [2, 5]
    assert sorted(added[2:]) == [6, 7]
    assert list(counter.numbers.remote_gen(3)) == [0, 1, 2]
    assert counter.later.remote() == 0
    assert counter.add.spawn(3).get() == 10


def test_each_set_of_parameters_has_containers_of_its_own():
    places = {Counter(start=start).where.remote() for start in (0, 10, 20)}

    assert len(places) == 3
    assert Counter(start=10).add.remote(1) == 11


def test_a_method_calls_another_instance_by_its_parameters_from_inside_a_container():
    assert Counter().ask_another.remote(40) == 41


def test_a_class_inherits_what_containers_do():
    assert Child(start=5).add.remote(1) == ("child", 6)


def test_an_enter_hook_that_fails_fails_the_inputs_that_wait_with_its_error():
    with pytest.raises(errors.ContainerStartError, match="ConnectionError: no database"):
        Broken().f.remote()


def test_snap_hooks_run_once_in_the_template_and_others_in_each_container():
    said = look_until_forked(Snapped().look)

    said += [Snapped().look.remote() for _ in range(3)]

    forked = [each for each in said if each[0]]
    assert len({loaded for _, loaded, _ in forked}) == 1
    assert len({entered for _, _, entered in forked}) == len(forked) == 4
    assert all(loaded < entered for _, loaded, entered in said)


def test_without_the_option_snap_hooks_run_in_each_container():
    said = look_until_forked(Unsnapped().look)

    said += [Unsnapped().look.remote() for _ in range(2)]

    assert len({loaded for _, loaded in said}) == len(said)


def test_a_snap_hook_that_leaves_something_open_is_named_and_the_class_starts_plainly():
    while not any("a snap hook, left pipe" in text for text in lines.texts("Unforkable")):
        assert Unforkable().look.remote() is False

    assert Unforkable().look.remote() is False


def test_an_enter_hook_that_fails_only_in_a_fork_costs_the_template_and_no_input():
    while "forked" not in lines.texts("FailsForked"):
        assert FailsForked().look.remote() is False

    assert FailsForked().look.remote() is False


def test_an_input_that_runs_out_of_time_leaves_its_instance_for_the_next():
    overdue = Overdue()
    before = overdue.wait.remote(0)

    with pytest.raises(errors.FunctionTimeoutError):
        overdue.wait.remote(20)

    assert overdue.wait.remote(0) == before
    assert "left" not in lines.texts("Overdue")


def test_exit_hooks_run_at_scale_down_and_what_fails_in_one_is_shown():
    assert Leaving().f.remote() == 1

    lines.wait("OSError: closed twice", "Leaving")

    assert lines.texts("Leaving").count("left") == 1
    assert "the exit hook Leaving.fail() failed:" in lines.texts("Leaving")


def test_a_container_for_one_input_runs_its_exit_hook_after_it():
    assert Single().f.remote() != Single().f.remote()

    lines.wait("left", "Single")


def test_a_concurrent_class_runs_its_inputs_together_on_the_loop_of_its_hooks():
    assert list(Together().meet.map(range(5))) == [5] * 5


def test_a_batched_method_is_called_once_for_several_inputs():
    assert list(Batch().double.map([1, 2, 3, 4])) == [(2, 4), (4, 4), (6, 4), (8, 4)]


def test_what_exit_hooks_print_is_shown_when_a_program_ends_its_run():
    ending = offload.App("ending")

    @ending.cls()
    class Model:
        @offload.method()
        def f(self):
            return 1

        @offload.exit()
        async def close(self):
            await asyncio.sleep(0.3)
            print("left at the end")

    said = Lines()
    with ending.run(output=said):
        assert Model().f.remote() == 1

    assert said.texts("Model") == ["left at the end"]
