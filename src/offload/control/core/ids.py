"""How the ids of calls and their inputs hang together: "in-ABC-0" is the first input of "fc-ABC"."""

from __future__ import annotations

CALL_PREFIX = "fc-"
INPUT_PREFIX = "in-"

# Stores keep (call, index) in one 64-bit integer and give the index 32 bits of it.
MAX_INPUTS_PER_CALL = 2**32


def input_id(call_id: str, index: int) -> str:
    """Return the id of a call's input at `index`, counted from 0."""
    return f"{INPUT_PREFIX}{call_id[len(CALL_PREFIX) :]}-{index}"


def split_input_id(input_id: str) -> tuple[str, int]:
    """Return the call's id and the index; raise `ValueError` for what `input_id` cannot have made."""
    stem, _, digits = input_id.rpartition("-")
    is_number = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    if not stem.startswith(INPUT_PREFIX) or not is_number or len(digits) > 10:
        raise ValueError(f"{input_id!r} is not the id of an input (in-…-0)")
    return CALL_PREFIX + stem[len(INPUT_PREFIX) :], int(digits)
