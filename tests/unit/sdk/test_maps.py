"""Maps: order, back-pressure, failures and early exits, against a server that answers from a script."""

import asyncio
import itertools
import threading

import pytest
from tests.support.sdk_server import fake_server

import offload
from offload.sdk.mapping import WINDOW_INPUTS
from offload.sdk.serialize import SerializationError

app = offload.App("maps")


@app.function()
def square(x):
    return x * x


@app.function()
def add(x, y):
    return x + y


@app.function()
def picky(x):
    if x % 2:
        raise ValueError(f"odd {x}")
    return x


@pytest.fixture
def server():
    with fake_server() as running, app.run():
        yield running


def test_results_come_in_the_order_of_the_inputs(server):
    server.answer_backwards = True

    assert list(square.map(range(2500))) == [x * x for x in range(2500)]


def test_without_order_nothing_is_lost(server):
    server.answer_backwards = True

    results = list(square.map(range(50), order_outputs=False))

    assert results != sorted(results)
    assert sorted(results) == [x * x for x in range(50)]


def test_several_iterators_are_zipped_and_starmap_unpacks(server):
    assert list(add.map([1, 2, 3], [10, 20])) == [11, 22]
    assert list(add.starmap([(1, 2), (3, 4)])) == [3, 7]


def test_nothing_to_map_makes_no_call(server):
    assert list(square.map([])) == []

    assert not server.calls


def test_quick_inputs_share_messages(server):
    list(square.map(range(5000)))

    assert sum(server.batches) == 5000
    assert max(server.batches) > 20


def test_a_slow_iterators_item_is_sent_at_once(server):
    received = threading.Event()

    def slow():
        yield 2
        assert received.wait(timeout=20), "the first result never came"
        yield 3

    results = []
    for result in square.map(slow()):
        results.append(result)
        received.set()

    assert results == [4, 9]


def test_an_endless_iterator_is_pulled_no_further_than_the_window(server):
    pulled = itertools.count()
    last = 0

    def endless():
        nonlocal last
        while True:
            last = next(pulled)
            yield last

    results = square.map(endless())
    first = [next(results) for _ in range(10)]
    results.close()

    assert first == [x * x for x in range(10)]
    assert last <= WINDOW_INPUTS + 20


def test_leaving_early_cancels_the_rest(server):
    for _ in square.map(itertools.count()):
        break

    (call,) = server.calls.values()
    assert call.cancelled


def test_a_failure_is_raised_at_its_place(server):
    results = picky.map([0, 2, 3, 4])

    assert [next(results), next(results)] == [0, 2]
    with pytest.raises(ValueError, match="odd 3"):
        next(results)


def test_failures_can_be_returned_instead(server):
    results = list(picky.map([0, 1, 2], return_exceptions=True))

    assert (results[0], results[2]) == (0, 2)
    assert isinstance(results[1], ValueError)


def test_what_the_iterator_raises_comes_out_of_the_map(server):
    def broken():
        yield 1
        raise LookupError("no more data")

    with pytest.raises(LookupError, match="no more data"):
        list(square.map(broken()))


def test_an_argument_that_cannot_be_pickled_is_named(server):
    with pytest.raises(SerializationError):
        list(square.map([threading.Lock()]))


def test_async_iterables_are_taken_by_both_twins(server):
    async def numbers():
        for x in range(3):
            await asyncio.sleep(0)
            yield x

    async def main():
        return [each async for each in square.map.aio(numbers())]

    assert asyncio.run(main()) == [0, 1, 4]
    assert list(square.map(numbers())) == [0, 1, 4]


def test_for_each_waits_for_all_and_raises_the_first_failure(server):
    assert square.for_each(range(10)) is None
    with pytest.raises(ValueError, match="odd"):
        picky.for_each(range(10))
    assert picky.for_each(range(10), ignore_exceptions=True) is None


def test_a_spawned_map_is_asked_for_later(server):
    call = square.spawn_map(range(3000))

    assert call.get() == [x * x for x in range(3000)]
    assert square.spawn_map([]).get() == []


@pytest.mark.parametrize("method", ["Submit", "AddInputs", "Outcomes"])
def test_a_broken_connection_loses_and_repeats_nothing(server, method):
    server.break_link_at = {(method, 1), (method, 2)}

    results = list(square.map(range(3000)))

    assert results == [x * x for x in range(3000)]
    assert server.requests[method] > 1
    (call,) = server.calls.values()
    assert len(call.outcomes) == 3000


def test_a_remote_call_is_repeated_under_its_id_after_a_break(server):
    server.break_link_at = {("Run", 1)}

    assert square.remote(5) == 25

    assert server.requests["Run"] == 2
    assert len(server.calls) == 1
