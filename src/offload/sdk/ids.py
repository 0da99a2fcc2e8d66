"""Ids a caller chooses, so that repeating a request is harmless."""

from __future__ import annotations

import os
import time

# Crockford's alphabet: no letters that look like digits, and it sorts as it counts.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ".lower()
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(prefix: str) -> str:
    """Return `prefix` and 26 characters: 48 bits of milliseconds, then 80 random bits, so that ids sort by age."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return prefix + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
