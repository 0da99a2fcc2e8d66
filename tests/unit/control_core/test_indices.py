"""Sets of inputs that are kept as runs behave like sets."""

from hypothesis import given
from hypothesis import strategies as st

from offload.control.core.indices import Indices

spans = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda p: range(p[0], p[0] + p[1]))
steps = st.one_of(
    st.tuples(st.just("add"), spans),
    st.tuples(st.just("discard"), st.integers(0, 50)),
    st.tuples(st.just("pop"), st.integers(0, 9)),
)


@given(st.lists(steps))
def test_runs_of_indices_hold_what_a_set_of_them_holds(script: list[tuple[str, object]]) -> None:
    kept, model = Indices(), set[int]()

    for verb, what in script:
        if verb == "add" and isinstance(what, range):
            new = [index for run in kept.add(what.start, what.stop) for index in run]
            assert new == sorted(set(what) - model)
            model |= set(what)
        elif verb == "discard" and isinstance(what, int):
            assert kept.discard(what) == (what in model)
            model.discard(what)
        elif isinstance(what, int):
            taken = [index for run in kept.pop_first(what) for index in run]
            assert taken == sorted(model)[:what]
            model -= set(taken)

        assert list(kept) == sorted(model)
        assert len(kept) == len(model)
        assert all((index in kept) == (index in model) for index in range(-1, 60))
        assert kept.is_run_from_zero == (model == set(range(len(model))))


def test_runs_that_meet_become_one() -> None:
    kept = Indices([range(3), range(5, 8), range(10, 12)])

    kept.add(3, 5)

    assert kept.runs() == [range(8), range(10, 12)]
