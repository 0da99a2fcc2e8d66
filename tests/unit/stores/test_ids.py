"""How inputs are named after their calls."""

from __future__ import annotations

import pytest

from offload.control.core.ids import input_id, split_input_id


@pytest.mark.parametrize("index", [0, 7, 10, 2**32 - 1])
def test_an_input_id_splits_into_what_it_was_made_of(index: int) -> None:
    made = input_id("fc-01ABC", index)

    assert made == f"in-01ABC-{index}"
    assert split_input_id(made) == ("fc-01ABC", index)


@pytest.mark.parametrize(
    "text",
    ["", "in-A", "in-A-", "in-A-x", "in-A-01", "fc-A-1", "in-A-٣", "in-A-99999999999"],
)
def test_an_id_that_no_input_can_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the id of an input"):
        split_input_id(text)
