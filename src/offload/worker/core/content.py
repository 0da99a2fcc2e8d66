"""A user's bytes, as the worker is told of them."""

from __future__ import annotations

from typing import NamedTuple


class Content(NamedTuple):
    """A user's bytes: inline, or a blob where `sha256` is not empty."""

    encoding: str
    inline: bytes
    sha256: str = ""
    size_bytes: int = 0
