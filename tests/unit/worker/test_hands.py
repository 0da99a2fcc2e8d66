"""Which container gets which input, and what is late."""

from __future__ import annotations

from offload.worker.core.hands import FunctionQueue, Hand, Interrupt
from offload.worker.core.prefetch import MAX_DEPTH, RunTimes, is_worth_announcing
from offload.worker.core.values import Content, Task


def tasks(*names: str, alone: bool = False, size: int = 10) -> list[Task]:
    return [Task(name, 1, Content("pickle", b"x" * size), alone) for name in names]


def a_queue(*containers: str, seconds: float | None = None, timeout: float = 0.0) -> FunctionQueue:
    queue = FunctionQueue(timeout)
    for container in containers:
        queue.hands[container] = Hand(container)
    if seconds is not None:
        queue.times.measured(seconds)
    return queue


def placed(queue: FunctionQueue, now: float = 0.0) -> dict[str, list[str]]:
    return {hand.container_id: [t.input_id for t in given] for hand, given in queue.place(now)}


def test_nothing_is_prefetched_before_something_was_measured():
    assert RunTimes().depth == 1


def test_the_depth_is_what_fits_into_fifty_milliseconds_beside_the_running_one():
    for seconds, depth in ((60.0, 1), (0.051, 1), (0.02, 3), (0.001, 51)):
        times = RunTimes()
        times.measured(seconds)

        assert times.depth == depth


def test_the_depth_is_bounded_for_inputs_that_take_no_time():
    times = RunTimes()
    times.measured(0.0)

    assert times.depth == MAX_DEPTH


def test_a_container_cannot_claim_impossible_run_times():
    times = RunTimes()
    for claim in (-5.0, float("nan"), float("inf")):
        times.measured(claim)

    assert times.mean_seconds == 0.0


def test_a_window_is_the_sum_of_the_depths_of_ready_containers():
    queue = a_queue("co-1", "co-2", seconds=0.02)

    assert queue.window(0.0) == 6


def test_a_stopping_container_is_not_in_the_window():
    queue = a_queue("co-1", "co-2", seconds=0.02)
    queue.hands["co-1"].is_stopping = True

    assert queue.window(0.0) == 3


def test_small_changes_of_a_window_are_not_worth_a_message():
    assert not is_worth_announcing(100, 110)
    assert is_worth_announcing(100, 120)
    assert is_worth_announcing(1, 2)
    assert not is_worth_announcing(0, 0)


def test_no_container_gets_a_second_input_while_another_has_none():
    queue = a_queue("co-1", "co-2", seconds=0.001)
    queue.add(tasks("a", "b"))

    assert placed(queue) == {"co-1": ["a"], "co-2": ["b"]}


def test_many_inputs_are_spread_evenly():
    queue = a_queue("co-1", "co-2", seconds=0.0)
    queue.add(tasks(*map(str, range(10))))

    given = placed(queue)

    assert [len(names) for names in given.values()] == [5, 5]


def test_an_input_that_must_be_alone_waits_for_an_idle_container():
    queue = a_queue("co-1", seconds=0.0)
    queue.add(tasks("a"))
    queue.place(0.0)
    queue.add([*tasks("lonely", alone=True), *tasks("b")])

    first = placed(queue)
    queue.hands["co-1"].take("a", 1, 0.0)
    second = placed(queue)

    assert first == {}
    assert second == {"co-1": ["lonely"]}


def test_nothing_is_put_beside_an_input_that_must_be_alone():
    queue = a_queue("co-1", seconds=0.0)
    queue.add([*tasks("lonely", alone=True), *tasks("b")])

    first = placed(queue)
    second = placed(queue)

    assert first == {"co-1": ["lonely"]}
    assert second == {}


def test_a_hand_with_much_data_takes_nothing_more():
    queue = a_queue("co-1", seconds=0.0)
    queue.add(tasks(*"abcdefgh", size=600_000))

    assert placed(queue) == {"co-1": ["a", "b"]}


def test_a_container_with_a_slow_input_gets_nothing_to_wait_behind_it():
    queue = a_queue("co-1", seconds=0.001)
    queue.add(tasks("slow"))
    queue.place(0.0)
    queue.add(tasks("b"))

    assert placed(queue, now=0.06) == {}


def test_inputs_behind_a_slow_one_are_hidden_from_an_idle_container():
    queue = a_queue("co-1", seconds=0.001)
    queue.add(tasks("slow", "b"))
    queue.place(0.0)
    queue.hands["co-2"] = Hand("co-2")

    assert not queue.late(0.04).hiding
    assert queue.late(0.06).hiding == [queue.hands["co-1"]]


def test_inputs_behind_a_slow_one_wait_longer_where_no_container_is_idle():
    queue = a_queue("co-1", seconds=0.001)
    queue.add(tasks("slow", "b"))
    queue.place(0.0)

    assert not queue.late(0.9).hiding
    assert queue.late(1.1).hiding == [queue.hands["co-1"]]
    assert queue.window(1.1) == 1


def test_an_input_is_late_at_its_timeout_counted_from_when_it_was_first_in_hand():
    queue = a_queue("co-1", seconds=0.001, timeout=10)
    queue.add(tasks("a", "b"))
    queue.place(0.0)
    queue.hands["co-1"].take("a", 1, 6.0)

    assert not queue.late(15.9).timed_out
    assert queue.late(16.0).timed_out == [queue.hands["co-1"]]


def test_a_function_without_a_timeout_is_never_late():
    queue = a_queue("co-1", timeout=0)
    queue.add(tasks("a"))
    queue.place(0.0)

    assert not queue.late(1e6).timed_out


def test_an_interrupted_input_that_does_not_end_is_stuck_after_the_grace():
    queue = a_queue("co-1", timeout=10)
    queue.add(tasks("a"))
    queue.place(0.0)
    queue.hands["co-1"].interrupt("a", Interrupt(True, "late"), 10.0)

    assert not queue.late(14.9).stuck
    assert queue.late(15.0).stuck == [queue.hands["co-1"]]
    assert not queue.late(15.0).timed_out


def test_a_container_does_not_end_under_what_runs_because_an_input_behind_it_was_cancelled():
    queue = a_queue("co-1", seconds=0.001, timeout=60)
    queue.add(tasks("a", "b"))
    queue.place(0.0)
    hand = queue.hands["co-1"]
    hand.interrupt("b", Interrupt(False, "cancelled"), 1.0)

    while_a_runs = queue.late(20.0)
    hand.take("a", 1, 20.0)

    assert not while_a_runs.stuck
    assert not queue.late(24.9).stuck
    assert queue.late(25.0).stuck == [hand]


def test_what_runs_is_late_also_while_an_input_behind_it_is_cancelled():
    queue = a_queue("co-1", seconds=0.001, timeout=10)
    queue.add(tasks("a", "b"))
    queue.place(0.0)
    queue.hands["co-1"].interrupt("b", Interrupt(False, "cancelled"), 1.0)

    assert queue.late(10.0).timed_out == [queue.hands["co-1"]]


def test_the_grace_is_the_workers_own():
    queue = FunctionQueue(10, grace_seconds=0.5)
    hand = queue.hands["co-1"] = Hand("co-1")
    queue.add(tasks("a"))
    queue.place(0.0)
    hand.interrupt("a", Interrupt(False, "cancelled"), 1.0)

    assert not queue.late(1.4).stuck
    assert queue.late(1.5).stuck == [hand]


def test_an_input_does_not_get_more_time_because_those_behind_it_were_taken_back():
    queue = a_queue("co-1", seconds=0.001, timeout=10)
    queue.add(tasks("slow", "b"))
    queue.place(0.0)

    queue.hands["co-1"].take_back("b")

    assert queue.late(10.0).timed_out == [queue.hands["co-1"]]


def test_the_first_reason_to_end_an_input_stays():
    hand = Hand("co-1")
    hand.give(tasks("a")[0], 0.0)

    hand.interrupt("a", Interrupt(True, "late"), 1.0)
    hand.interrupt("a", Interrupt(False, "cancelled"), 2.0)

    assert hand.interrupts["a"] == Interrupt(True, "late")
    assert hand.ending_since == 1.0


def test_dropped_inputs_leave_the_others_waiting_in_their_order():
    queue = a_queue("co-1", seconds=0.0)
    queue.add(tasks(*"abcde"))

    dropped = queue.drop({"d", "b", "not here"})

    assert [task.input_id for task in dropped] == ["b", "d"]
    assert placed(queue) == {"co-1": ["a", "c", "e"]}


def test_a_container_whose_input_is_being_interrupted_gets_nothing():
    queue = a_queue("co-1", seconds=0.0)
    queue.add(tasks("a"))
    queue.place(0.0)
    queue.hands["co-1"].interrupt("a", Interrupt(False, "cancelled"), 0.0)
    queue.add(tasks("b"))

    assert placed(queue) == {}


def test_inputs_put_back_go_before_those_that_wait():
    queue = a_queue("co-1", seconds=0.0)
    queue.add(tasks("c"))
    queue.put_back(tasks("a", "b"))

    assert placed(queue) == {"co-1": ["a", "b", "c"]}


def test_a_hand_knows_only_the_attempt_it_was_given():
    hand = Hand("co-1")
    hand.give(tasks("a")[0], 0.0)

    assert hand.take("a", 2, 1.0) is None
    assert hand.take("b", 1, 1.0) is None
    assert hand.take("a", 1, 1.0) is not None
