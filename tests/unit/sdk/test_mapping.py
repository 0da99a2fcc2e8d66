from hypothesis import given
from hypothesis import strategies as st

from offload.sdk.mapping import Batcher, Ordering, Window


@given(st.permutations(range(30)))
def test_results_in_any_order_come_out_in_order(order):
    ordering: Ordering[int] = Ordering(in_order=True)

    out = [pair for index in order for pair in ordering.put(index, index * 2)]

    assert out == [(index, index * 2) for index in range(30)]


@given(st.permutations(range(30)))
def test_without_order_each_result_comes_at_once(order):
    ordering: Ordering[int] = Ordering(in_order=False)

    out = [ordering.put(index, index) for index in order]

    assert out == [[(index, index)] for index in order]


@given(st.lists(st.binary(max_size=50), max_size=60), st.integers(1, 10), st.integers(1, 100))
def test_batches_keep_order_and_limits(bodies, limit_inputs, limit_bytes):
    batcher = Batcher(limit_inputs, limit_bytes)
    for index, body in enumerate(bodies):
        batcher.add(index, body)

    batches = []
    while batch := batcher.cut():
        batches.append(batch)

    assert [each for batch in batches for each in batch] == list(enumerate(bodies))
    for batch in batches:
        assert len(batch) <= limit_inputs
        assert len(batch) == 1 or sum(len(body) for _, body in batch) <= limit_bytes


def test_the_window_is_bounded_by_inputs_and_by_bytes():
    window = Window(limit_inputs=2, limit_bytes=100)

    window.take(0, 10)
    assert window.has_room
    window.take(1, 10)
    assert not window.has_room
    window.release(0)
    window.take(2, 95)
    window.release(1)
    assert window.has_room
    window.take(3, 5)
    assert not window.has_room


def test_one_input_larger_than_the_window_is_let_through():
    window = Window(limit_inputs=10, limit_bytes=100)

    assert window.has_room
    window.take(0, 1000)

    assert not window.has_room
    window.release(0)
    assert window.has_room
