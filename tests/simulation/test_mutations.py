"""What the simulation and the state machine promise to notice, they notice."""

import pytest
from tests.simulation.mutations import hunt_all


# Minutes of two processors' time.
@pytest.mark.timeout(1200)
def test_no_mistake_in_the_core_goes_unnoticed() -> None:
    found = hunt_all()

    assert [mutation.breaks for mutation, how in found.items() if not how] == []
