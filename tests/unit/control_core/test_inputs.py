"""The transition table of inputs."""

import pytest

from offload.control.core.errors import IllegalMoveError
from offload.control.core.inputs import FINAL_STATES, TRANSITIONS, InputEvent, InputState, move


def _reachable(start: InputState) -> set[InputState]:
    seen, line = {start}, [start]
    while line:
        for after in TRANSITIONS[line.pop()].values():
            if after not in seen:
                seen.add(after)
                line.append(after)
    return seen


def test_every_state_is_reachable_from_blocked() -> None:
    assert _reachable(InputState.BLOCKED) == set(InputState)


def test_every_state_leads_to_a_final_one() -> None:
    assert all(_reachable(state) & FINAL_STATES for state in InputState)


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_final_state_is_final(state: InputState) -> None:
    assert state.is_final
    for event in InputEvent:
        with pytest.raises(IllegalMoveError):
            move(state, event)


@pytest.mark.parametrize("state", sorted(set(InputState) - FINAL_STATES))
def test_a_state_that_is_not_final_can_be_cancelled(state: InputState) -> None:
    assert not state.is_final
    assert move(state, InputEvent.CANCELLED) is InputState.CANCELLED


def test_an_illegal_move_raises_and_names_state_and_event() -> None:
    with pytest.raises(IllegalMoveError, match="no move from ready on started"):
        move(InputState.READY, InputEvent.STARTED)
