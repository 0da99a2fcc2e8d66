"""How the ids of calls and their inputs hang together: "in-ABC-0" is the first input of "fc-ABC"."""

from __future__ import annotations

import hashlib

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


# Crockford's alphabet: no letters that look like digits, and it sorts as it counts.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIMED_LENGTH = 26
# Begins the ids that are made of an idempotency key. No id of the other kind begins so before the year 10,000.
KEYED_PREFIX = CALL_PREFIX + "k"


def timed_call_id(now: float, random_bits: int) -> str:
    """Return an id of 26 characters: 48 bits of milliseconds, then 80 random bits, so that ids sort by age."""
    number = int(now * 1000) << 80 | random_bits
    return CALL_PREFIX + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def call_created_at(call_id: str) -> float | None:
    """Return when a `timed_call_id` was made, in Unix seconds; None for any other id."""
    stem = call_id[len(CALL_PREFIX) :]
    if len(stem) != _TIMED_LENGTH or not set(stem) <= set(_ALPHABET):
        return None
    number = 0
    for character in stem:
        number = number << 5 | _ALPHABET.index(character)
    milliseconds = number >> 80
    return milliseconds / 1000 if milliseconds < 1 << 48 else None


def keyed_call_id(*key: str) -> str:
    """Return the id of the call that has this idempotency key, whose parts come from the widest to the closest."""
    text = "\0".join(f"{len(part)}:{part}" for part in key)
    return KEYED_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:40]
