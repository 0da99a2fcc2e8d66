"""Play seeds, then the state machine, until a promise breaks; print which one noticed, and nothing where none did."""

from __future__ import annotations

import sys

from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.simulation.__main__ import play
from tests.unit.control_core.test_invariants import Dispatching, TestDispatching

import offload.control.core

# Whoever breaks a promise here did so on purpose: the smallest example is of no interest.
HUNTING = settings(TestDispatching.settings, phases=[Phase.generate])


def main() -> int:
    """Hunt with so many seeds, in the sources below the named folder."""
    seeds, folder = int(sys.argv[1]), sys.argv[2]
    if not offload.control.core.__path__[0].startswith(folder):
        raise RuntimeError(f"the core comes from {offload.control.core.__path__[0]}")
    for seed in range(seeds):
        broken = play(seed)[2]
        if broken:
            print(f"seed {seed}: {broken.splitlines()[0][:80]}")  # noqa: T201
            return 0
    try:
        run_state_machine_as_test(Dispatching, settings=HUNTING)
    except Exception as error:  # noqa: BLE001 whatever it was, it noticed
        print(f"state machine: {type(error).__name__} {str(error)[:60]}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
