"""The desk on a clock that the test turns."""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import IO

from offload.wire import guest
from offload.wire.gen import common_pb2, workers_pb2
from offload.worker.core.attribution import Ending
from offload.worker.core.values import Content, Function, Line, Task
from offload.worker.inputs import Desk, DeskOptions


class Clock:
    """Time, turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Uplink:
    """Keeps what is said in one message."""

    def __init__(self) -> None:
        self.said = workers_pb2.WorkerMessage()

    def gathering(self, size_bytes: int) -> workers_pb2.WorkerMessage:
        return self.said

    async def upload(self, file: IO[bytes]) -> tuple[str, int]:
        raise AssertionError("nothing large here")


class Container:
    """Keeps what it is told."""

    def __init__(self, container_id: str) -> None:
        self.container_id = container_id
        self.told: list[guest.Message] = []
        self.killed_because = ""

    def send(self, message: guest.Message) -> None:
        self.told.append(message)

    def send_file(self, file: IO[bytes]) -> int:
        raise AssertionError("nothing large here")

    def kill(self, reason: str) -> None:
        self.killed_because = reason

    def print(self, line: Line) -> None:
        raise AssertionError("nothing is printed here")

    def hold(self, reason: str, *, on: bool) -> None:
        raise AssertionError("nothing large here")


async def _no_blob(content: Content) -> IO[bytes]:
    raise AssertionError("nothing large here")


class Bench:
    def __init__(self, timeout_seconds: float = 10.0) -> None:
        self.clock, self.uplink, self.container = Clock(), Uplink(), Container("co-1")
        self.desk = Desk(DeskOptions(self.uplink, _no_blob, self.clock, Path("/nonexistent")))
        function = Function(
            "fu-1", "ap-1", "work", Content("cloudpickle", b""), timeout_seconds=timeout_seconds
        )
        self.desk.add_container(function, self.container)

    def assign(self, *names: str) -> None:
        self.desk.assign("fu-1", [Task(name, 1, Content("pickle", b"")) for name in names])

    def at(self, now: float) -> None:
        self.clock.now = now
        self.desk.tick()

    @property
    def states(self) -> dict[str, int]:
        return {r.input_id: r.outcome.state for r in self.uplink.said.results}


def test_an_input_that_cannot_be_interrupted_is_killed_after_the_grace_and_has_timed_out():
    bench = Bench(timeout_seconds=10.0)
    bench.assign("in-1")

    bench.at(10.0)
    bench.at(14.9)
    before_the_grace = bench.container.killed_because
    bench.at(15.0)
    bench.desk.remove_container("co-1", Ending(signal=9), is_innocent=False)

    assert bench.container.told[-1] == guest.Cancel(
        ("in-1",), True, "ran longer than its timeout of 10 s"
    )
    assert not before_the_grace
    assert bench.container.killed_because
    assert bench.states == {"in-1": common_pb2.INPUT_STATE_TIMED_OUT}
    assert not bench.desk.held


def test_a_timeout_is_asked_for_once():
    bench = Bench(timeout_seconds=10.0)
    bench.assign("in-1")

    for now in (10.0, 10.5, 11.0):
        bench.at(now)

    assert sum(isinstance(message, guest.Cancel) for message in bench.container.told) == 1


def test_a_cancelled_input_that_will_not_end_is_killed_and_cancelled():
    bench = Bench()
    bench.assign("in-1")

    bench.desk.cancel((("in-1", "no longer wanted"),))
    bench.at(5.0)
    bench.desk.remove_container("co-1", Ending(signal=9), is_innocent=False)

    assert bench.container.killed_because
    assert bench.states == {"in-1": common_pb2.INPUT_STATE_CANCELLED}


def test_a_cancelled_input_that_had_not_begun_is_cancelled_without_harm_to_its_container():
    bench = Bench()
    bench.assign("in-1")

    bench.desk.cancel((("in-1", "no longer wanted"),))
    bench.desk.on_message("co-1", guest.GivenBack(("in-1",)))
    bench.at(60.0)

    assert not bench.container.killed_because
    assert bench.states == {"in-1": common_pb2.INPUT_STATE_CANCELLED}


def test_fifty_thousand_waiting_inputs_are_cancelled_by_going_through_them_once():
    bench = Bench()
    names = [f"in-{number}" for number in range(50_000)]
    bench.assign(*names)

    started = process_time()
    bench.desk.cancel(tuple((name, "no longer wanted") for name in reversed(names)))
    seconds = process_time() - started

    assert len(bench.states) == 49_999
    assert bench.container.told[-1] == guest.Cancel(("in-0",), False, "no longer wanted")
    # Takes 0.3 s; going through the queue for each of them took a minute.
    assert seconds < 10


def test_a_cancel_without_a_reason_still_has_one():
    bench = Bench()
    bench.assign("in-1", "in-2")

    bench.desk.cancel((("in-2", ""),))

    assert bench.uplink.said.results[0].outcome.failure.reason == "cancelled"


def test_an_idle_desk_has_nothing_to_watch():
    bench = Bench()

    assert not bench.desk.is_busy
