"""Cutting what containers say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from offload.worker.core.text import MAX_LINE_BYTES, LineSplitter, cut, one_line, split_long


def test_bytes_in_pieces_become_lines():
    splitter = LineSplitter()

    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.feed(b"o\r\n\nthree") == ["two", ""]
    assert splitter.finish() == ["three"]
    assert splitter.finish() == []


def test_a_line_without_end_is_cut_into_lines_that_can_be_carried():
    lines = LineSplitter().feed(b"x" * (3 * MAX_LINE_BYTES))

    assert "".join(lines) == "x" * (3 * MAX_LINE_BYTES)
    assert max(map(len, lines)) <= MAX_LINE_BYTES


@given(st.text(max_size=300), st.integers(1, 400))
def test_splitting_loses_nothing(text: str, repeat: int):
    long = text.encode("utf-8", "replace").decode() * repeat

    pieces = split_long(long)

    assert "".join(pieces) == long
    assert all(len(piece.encode()) <= MAX_LINE_BYTES for piece in pieces)


@given(st.text(), st.integers(16, 200))
def test_cutting_never_exceeds_the_bound(text: str, bound: int):
    assert len(cut(text, bound).encode("utf-8", "replace")) <= bound


def test_many_lines_become_one():
    assert one_line("a\n  b\tc") == "a b c"
