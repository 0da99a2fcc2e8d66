"""Everything accepted ends in exactly one outcome, whatever happens to workers, sessions and the server."""

import pytest
from tests.simulation.cluster import Simulation

BLOCKS = 8
SEEDS_PER_BLOCK = 25


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_accepted_input_ends_in_exactly_one_outcome(block: int) -> None:
    first = block * SEEDS_PER_BLOCK

    finished = [Simulation(seed).run() for seed in range(first, first + SEEDS_PER_BLOCK)]

    assert sum(finished) > SEEDS_PER_BLOCK


def test_the_same_seed_plays_the_same_run() -> None:
    first, second = Simulation(7), Simulation(7)

    first.run()
    second.run()

    assert (first.now, first.steps) == (second.now, second.steps)
    assert [s.seqs for s in first.store.calls.values()] == [
        s.seqs for s in second.store.calls.values()
    ]
