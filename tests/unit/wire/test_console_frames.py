"""The frames between a worker and a console."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.wire.guest import console


@given(
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40))),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(sent, cuts):
    data = b"".join(console.pack(kind, body) for kind, body in sent)
    frames, came, at = console.Frames(), [], 0

    while at < len(data):
        size = cuts[at % len(cuts)]
        came += frames.feed(data[at : at + size])
        at += size

    assert came == sent


def test_a_length_that_no_console_sends_is_refused_before_the_bytes_have_come():
    frames = console.Frames()

    with pytest.raises(console.ConsoleProtocolError):
        frames.feed(b"\x10\xff\xff\xff\xff")


def test_a_size_survives_and_another_body_is_refused():
    assert console.read_size(console.pack_size(24, 70_000)) == (24, 65_535)
    with pytest.raises(console.ConsoleProtocolError):
        console.read_size(b"\0")
