"""The hands of containers that run several inputs at the same time, or only one."""

from __future__ import annotations

from offload.worker.core.hands import FunctionQueue, Interrupt
from offload.worker.core.other_hands import SingleUseHand, WideHand, make_hand
from offload.worker.core.values import Content, Function, Task


def tasks(*names: str, alone: bool = False, size: int = 10) -> list[Task]:
    return [Task(name, 1, Content("pickle", b"x" * size), alone) for name in names]


def a_queue(width: int, *containers: str, timeout: float = 0.0) -> FunctionQueue:
    queue = FunctionQueue(timeout, width=width)
    for container in containers:
        queue.hands[container] = WideHand(container, width)
    return queue


def placed(queue: FunctionQueue, now: float = 0.0) -> dict[str, list[str]]:
    return {hand.container_id: [t.input_id for t in given] for hand, given in queue.place(now)}


def test_a_container_gets_as_many_as_it_runs_at_the_same_time_and_no_more_before_one_was_measured():
    queue = a_queue(3, "co-1")
    queue.add(tasks(*"abcdef"))

    assert placed(queue) == {"co-1": ["a", "b", "c"]}
    assert queue.window(0.0) == 3


def test_inputs_are_spread_evenly_over_the_containers():
    queue = a_queue(10, "co-1", "co-2")
    queue.add(tasks(*"abcdef"))

    assert placed(queue) == {"co-1": ["a", "b", "c"], "co-2": ["d", "e", "f"]}


def test_short_inputs_are_prefetched_for_each_of_the_places():
    queue = a_queue(4, "co-1")
    queue.times.measured(0.02)

    assert queue.window(0.0) == 12


def test_what_is_prefetched_fills_batches():
    queue = a_queue(100, "ct-1")
    queue.times.measured(0.0)

    queue.add(tasks(*map(str, range(600))))

    assert len(placed(queue)["ct-1"]) == 500


def test_a_slow_input_holds_up_nothing_but_its_own_place():
    queue = a_queue(2, "co-1")
    queue.times.measured(0.01)
    queue.add(tasks("slow", "b"))
    queue.place(0.0)
    hand = queue.hands["co-1"]

    for number, name in enumerate("bcdef"):
        hand.take(name, 1, 10.0 + number)
        queue.add(tasks(chr(ord(name) + 1)))
        assert placed(queue, 10.0 + number) == {"co-1": [chr(ord(name) + 1)]}


def test_what_waits_behind_places_that_do_not_become_free_is_hidden():
    queue = a_queue(2, "co-1", "co-2")
    queue.times.measured(0.001)
    queue.add(tasks(*"abcd"))
    del queue.hands["co-2"]
    queue.place(0.0)
    queue.hands["co-2"] = WideHand("co-2", 2)

    assert not queue.late(0.04).hiding
    assert queue.late(0.06).hiding == [queue.hands["co-1"]]
    assert queue.hands["co-1"].window(50, 2.0) == 2


def test_each_input_has_a_timeout_of_its_own():
    queue = a_queue(2, "co-1", timeout=10)
    hand = queue.hands["co-1"]
    queue.add(tasks("a"))
    queue.place(0.0)
    queue.add(tasks("b"))
    queue.place(6.0)

    assert not queue.late(9.9).timed_out
    assert queue.late(10.0).timed_out == [hand]
    assert hand.overdue(10.0, 10) == ["a"]
    assert hand.overdue(16.0, 10) == ["a", "b"]


def test_the_timeout_counts_from_when_the_input_began_or_came_up_for_it():
    queue = a_queue(1 + 1, "co-1", timeout=10)
    queue.times.measured(0.001)
    hand = queue.hands["co-1"]
    queue.add(tasks("a", "b", "c"))
    queue.place(0.0)

    hand.began("a", 1, 1.0)
    hand.take("b", 1, 5.0)

    assert hand.overdue(10.9, 10) == []
    assert hand.overdue(11.0, 10) == ["a"]
    assert hand.overdue(15.0, 10) == ["a", "c"]


def test_an_interrupted_input_leaves_the_others_their_places_and_the_container_takes_more():
    queue = a_queue(3, "co-1", timeout=10)
    queue.add(tasks("a", "b"))
    queue.place(0.0)
    queue.hands["co-1"].interrupt("a", Interrupt(False, "cancelled"), 1.0)
    queue.add(tasks("c"))

    assert placed(queue, 1.0) == {"co-1": ["c"]}
    assert queue.hands["co-1"].overdue(10.0, 10) == ["b"]


def test_the_container_is_stuck_when_any_of_its_interrupted_inputs_has_had_its_grace():
    queue = a_queue(3, "co-1")
    queue.add(tasks("a", "b"))
    queue.place(0.0)
    hand = queue.hands["co-1"]
    hand.interrupt("b", Interrupt(False, "cancelled"), 1.0)

    assert not queue.late(5.9).stuck
    assert queue.late(6.0).stuck == [hand]
    hand.take("b", 1, 6.0)
    assert not queue.late(9.0).stuck


def test_suspects_are_those_that_may_have_begun():
    queue = a_queue(2, "co-1")
    queue.times.measured(0.001)
    queue.add(tasks(*"abcd"))
    queue.place(0.0)
    hand = queue.hands["co-1"]

    at_first = hand.suspects
    hand.take("a", 1, 1.0)

    assert at_first == ("a", "b")
    assert hand.suspects == ("b", "c")


def test_a_line_from_below_python_belongs_to_an_input_only_where_it_is_the_only_one():
    hand = WideHand("co-1", 3)
    nobody = hand.current
    hand.give(tasks("a")[0], 0.0)
    one = hand.current
    hand.give(tasks("b")[0], 0.0)

    assert (nobody, one, hand.current) == ("", "a", "")


def test_an_input_that_must_be_alone_waits_for_an_idle_container_and_keeps_others_out():
    queue = a_queue(3, "co-1")
    queue.add(tasks("a"))
    queue.place(0.0)
    queue.add([*tasks("lonely", alone=True), *tasks("b")])

    first = placed(queue)
    queue.hands["co-1"].take("a", 1, 0.0)

    assert first == {}
    assert placed(queue) == {"co-1": ["lonely"]}
    assert placed(queue) == {}


def test_large_arguments_are_given_to_places_and_not_ahead():
    queue = a_queue(3, "co-1")
    queue.times.measured(0.001)
    queue.add(tasks(*"abcdefgh", size=600_000))

    assert placed(queue) == {"co-1": ["a", "b", "c"]}


def test_a_container_of_a_single_use_is_given_one_input_and_is_spent_when_that_has_ended():
    queue = FunctionQueue(0.0)
    hand = queue.hands["co-1"] = SingleUseHand("co-1")
    queue.times.measured(0.0)
    queue.add(tasks("a", "b"))

    first = placed(queue)
    windows = [queue.window(0.0)]
    hand.take("a", 1, 1.0)
    windows.append(queue.window(1.0))

    assert first == {"co-1": ["a"]}
    assert windows == [1, 0]
    assert hand.is_spent
    assert placed(queue) == {}


def test_an_input_that_came_back_unbegun_has_spent_nothing():
    hand = SingleUseHand("co-1")
    hand.give(tasks("a")[0], 0.0)

    hand.take_back("a")

    assert not hand.is_spent
    assert hand.room(1, 0.0) == 1


def test_a_function_says_which_hand_its_containers_have():
    base = Function("fu-1", "ap-1", "f", Content("pickle", b""))
    batched = Function("fu-1", "ap-1", "f", Content("pickle", b""), max_calls=2, batch_size=8)
    once = Function("fu-1", "ap-1", "f", Content("pickle", b""), is_single_use=True)

    wide = make_hand(batched, "co-1")

    assert type(make_hand(base, "co-1")).__name__ == "Hand"
    assert isinstance(wide, WideHand)
    assert wide.width == 16
    assert isinstance(make_hand(once, "co-1"), SingleUseHand)
