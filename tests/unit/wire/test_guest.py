"""The frames of the runner's socket: whole, split, and malformed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.wire import guest
from offload.wire.guest import asks
from offload.wire.limits import MAX_FRAME_LINES

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
DATA = st.binary(max_size=40)
TIME = st.floats(allow_nan=False)
BODY = st.builds(guest.Body, TEXT, DATA, U32)


def few(entries: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(entries, max_size=4).map(tuple)


TRACE = st.builds(guest.TraceLine, TEXT, U32, TEXT, TEXT)
FAULT = st.builds(guest.Fault, TEXT, TEXT, few(TRACE), st.none() | BODY)
RESULT = st.builds(
    guest.Result, TEXT, U32, st.none() | BODY, st.none() | FAULT, st.booleans(), U64, TIME, TIME
)
MESSAGE = st.one_of(
    st.builds(
        guest.Load,
        TEXT,
        st.booleans(),
        BODY,
        few(TEXT),
        few(st.tuples(TEXT, TEXT)),
        TEXT,
        U32,
        U32,
        TIME,
    ),
    st.builds(guest.Run, few(st.builds(guest.Task, TEXT, U32, BODY))),
    st.builds(guest.Cancel, few(TEXT), st.booleans(), TEXT),
    st.builds(guest.GiveBack),
    st.builds(guest.Stop),
    st.builds(guest.Hello, U32, U32, TEXT),
    st.builds(guest.Loaded, st.none() | FAULT),
    st.builds(guest.Begun, TEXT, U32),
    st.builds(guest.Item, TEXT, U32, U64, BODY),
    st.builds(guest.Results, few(RESULT)),
    st.builds(guest.Outputs, few(st.builds(guest.Output, TEXT, TEXT, TEXT))),
    st.builds(guest.GivenBack, few(TEXT)),
    st.builds(guest.Exiting, st.integers(-(2**63), 2**63 - 1), TEXT),
    st.builds(guest.Bulk, U32, DATA, st.booleans()),
    st.builds(asks.Ask, U32, TEXT, DATA, st.booleans()),
    st.builds(asks.AskMore, U32, DATA, st.booleans()),
    st.builds(asks.GiveUp, U32),
    st.builds(asks.Answer, U32, st.integers(0, 255), st.booleans(), DATA),
    st.builds(asks.Credit, U32, U32),
)

# What follows their header is theirs, however much it is.
TAKES_ALL = (guest.Bulk, asks.Ask, asks.AskMore, asks.Answer)


def frame(kind: int, body: bytes) -> bytes:
    return struct.pack("<IB", len(body) + 1, kind) + body


@given(MESSAGE)
def test_every_message_comes_back_as_it_was_sent(message: guest.Message) -> None:
    [received] = guest.Decoder().feed(guest.encode(message))

    assert received == message
    assert type(received) is type(message)


@given(st.lists(MESSAGE, max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_any_split_of_the_stream_gives_the_same_messages(
    messages: list[guest.Message], cuts: list[int]
) -> None:
    stream = b"".join(guest.encode(message) for message in messages)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})

    decoder = guest.Decoder()
    received = []
    for start, end in zip([0, *ends], ends, strict=False):
        received += decoder.feed(stream[start:end])

    assert received == messages


@given(MESSAGE)
def test_single_bytes_are_enough_to_receive_a_message(message: guest.Message) -> None:
    decoder = guest.Decoder()

    received = [m for byte in guest.encode(message) for m in decoder.feed(bytes([byte]))]

    assert received == [message]


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_arbitrary_bytes_are_either_waited_for_or_refused(pieces: list[bytes]) -> None:
    decoder = guest.Decoder()

    try:
        messages = [message for piece in pieces for message in decoder.feed(piece)]
    except guest.GuestProtocolError:
        return

    assert sum(map(len, pieces)) >= 5 * len(messages)


@settings(max_examples=500)
@given(st.integers(0, 255), st.binary(max_size=120))
def test_an_arbitrary_body_of_any_kind_is_a_message_or_refused(kind: int, body: bytes) -> None:
    try:
        [message] = guest.Decoder().feed(frame(kind, body))
    except guest.GuestProtocolError:
        return

    assert type(message).__name__ in {*guest.__all__, *dir(asks)}


@given(MESSAGE, st.data())
def test_a_changed_byte_raises_nothing_but_a_protocol_error(
    message: guest.Message, data: st.DataObject
) -> None:
    changed = bytearray(guest.encode(message))
    at = data.draw(st.integers(4, len(changed) - 1))
    changed[at] = data.draw(st.integers(0, 255))

    try:
        messages = guest.Decoder().feed(bytes(changed))
    except guest.GuestProtocolError:
        return

    assert len(messages) == 1


@given(MESSAGE.filter(lambda m: not isinstance(m, TAKES_ALL)), st.binary(min_size=1, max_size=9))
def test_bytes_after_a_message_inside_its_frame_are_refused(
    message: guest.Message, extra: bytes
) -> None:
    whole = guest.encode(message)

    with pytest.raises(guest.GuestProtocolError):
        guest.Decoder().feed(frame(whole[4], whole[5:] + extra))


@given(MESSAGE.filter(lambda m: len(guest.encode(m)) > 5 and not isinstance(m, TAKES_ALL)))
def test_a_body_that_ends_too_early_is_refused(message: guest.Message) -> None:
    whole = guest.encode(message)

    with pytest.raises(guest.GuestProtocolError):
        guest.Decoder().feed(frame(whole[4], whole[5:-1]))


@pytest.mark.parametrize("length", [0, 1001, 2**32 - 1])
def test_an_impossible_length_is_refused_before_the_frame_is_awaited(length: int) -> None:
    decoder = guest.Decoder(max_bytes=1000)

    with pytest.raises(guest.GuestProtocolError, match=str(length)):
        decoder.feed(struct.pack("<I", length))


@pytest.mark.parametrize("length", [0, 1001])
def test_an_impossible_length_that_arrives_in_pieces_is_refused(length: int) -> None:
    decoder = guest.Decoder(max_bytes=1000)
    header = struct.pack("<I", length)

    decoder.feed(header[:2])

    with pytest.raises(guest.GuestProtocolError, match=str(length)):
        decoder.feed(header[2:])


@pytest.mark.parametrize("kind", [2, 10, 11, 12])
def test_an_absurd_count_is_refused_for_the_bytes_it_lacks(kind: int) -> None:
    with pytest.raises(guest.GuestProtocolError):
        guest.Decoder().feed(frame(kind, struct.pack("<I", 2**32 - 1)))


def test_text_that_is_not_utf8_is_refused() -> None:
    body = struct.pack("<HI", 2, 1) + b"\xff\xfe"

    with pytest.raises(guest.GuestProtocolError, match="utf-8"):
        guest.Decoder().feed(frame(8, body))


def test_a_message_beyond_the_largest_frame_is_refused_where_it_is_made() -> None:
    with pytest.raises(guest.GuestProtocolError, match="Bulk frame of"):
        guest.encode(guest.Bulk(1, bytes(9 * 1024 * 1024), last=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda text: guest.Outputs((guest.Output("in-1", "stdout", text),)),
        lambda text: guest.Loaded(guest.Fault("E", text, (), None)),
    ],
    ids=["printed", "raised"],
)
def test_text_with_lone_surrogates_still_arrives(make: Callable[[str], guest.Message]) -> None:
    [received] = guest.Decoder().feed(guest.encode(make("a\udc80b")))

    assert received == make("a\\udc80b")


def test_a_frame_with_more_lines_than_a_runner_sends_is_refused_before_they_are_read() -> None:
    lines = (guest.Output("", "stdout", ""),) * (MAX_FRAME_LINES + 1)

    with pytest.raises(guest.GuestProtocolError, match="lines, more than 16384"):
        guest.Decoder().feed(guest.encode(guest.Outputs(lines)))
