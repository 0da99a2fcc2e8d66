"""Requests, responses and parts as bytes: what is written is read, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.wire.guest import web

_names = st.text("abcdefghijklmnopqrstuvwxyz-_0123456789", min_size=1, max_size=12).map(str.encode)
_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.encode)
_headers = st.lists(st.tuples(_names, _values), max_size=5).map(tuple)
_addresses = st.tuples(st.text(max_size=20), st.integers(0, 65_535))
_paths = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))

_requests = st.builds(
    web.RequestHead,
    method=st.sampled_from(["GET", "POST", "PROPFIND"]),
    scheme=st.sampled_from(["http", "https", "ws", "wss"]),
    http_version=st.sampled_from(["1.0", "1.1", "2"]),
    path=_paths,
    raw_path=st.binary(max_size=20),
    query=st.binary(max_size=20),
    root_path=_paths,
    headers=_headers,
    client=_addresses,
    server=_addresses,
    is_websocket=st.booleans(),
    subprotocols=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    body=st.binary(max_size=50),
    is_whole=st.booleans(),
    target=st.text(max_size=10),
)
_heads = st.builds(web.ResponseHead, st.integers(200, 599), _headers)
_pieces = [
    st.builds(kind, st.binary(max_size=50), st.booleans())
    for kind in (web.Body, web.Text, web.Binary)
]
_parts = st.one_of(
    *_pieces,
    _heads,
    st.just(web.Disconnect()),
    st.builds(web.Open, st.text(max_size=20)),
    st.builds(web.Accept, _names.map(bytes.decode), _headers),
    st.builds(web.Close, st.integers(0, 65_535), st.text(max_size=20)),
)
_EVERY = (*web.TO_CONTAINER, *web.FROM_CONTAINER)


@given(_requests)
def test_a_request_is_read_as_it_was_written(head: web.RequestHead) -> None:
    assert web.decode_request(web.encode_request(head)) == head


@given(_heads, st.binary(max_size=100))
def test_a_whole_response_is_read_as_it_was_written(head: web.ResponseHead, body: bytes) -> None:
    assert web.decode_response(web.encode_response(head, body)) == (head, body)


def test_an_empty_result_says_that_the_response_went_through_an_exchange() -> None:
    assert web.decode_response(b"") is None


@given(_parts)
def test_a_part_is_read_as_it_was_written(part: web.Part) -> None:
    assert web.decode_part(web.encode_part(part), _EVERY) == part


@given(_requests, st.data())
def test_no_request_that_was_cut_is_read(head: web.RequestHead, data: st.DataObject) -> None:
    whole = web.encode_request(head)
    cut = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(web.WebFormatError):
        web.decode_request(whole[:cut])


@given(st.binary(max_size=200))
def test_whatever_a_container_sends_is_read_or_refused(data: bytes) -> None:
    for read in (
        web.decode_response,
        web.decode_request,
        lambda given: web.decode_part(given, _EVERY),
    ):
        try:
            read(data)
        except web.WebFormatError:
            continue


@pytest.mark.parametrize("side", ["to a container", "from a container"])
def test_a_part_of_the_other_side_is_refused(side: str) -> None:
    allowed, part = (
        (web.FROM_CONTAINER, web.Disconnect())
        if side == "from a container"
        else (web.TO_CONTAINER, web.Open("in-1"))
    )

    with pytest.raises(web.WebFormatError, match="no kind of part"):
        web.decode_part(web.encode_part(part), allowed)


@pytest.mark.parametrize(
    "header",
    [
        (b"x-a\r\nset-cookie", b"1"),
        (b"", b"1"),
        (b"X-Upper", b"1"),
        (b"x a", b"1"),
        (b"x-a", b"1\r\nset-cookie: b"),
        (b"x-a", b"1\n"),
        (b"x-a", b"\0"),
    ],
)
def test_a_header_that_would_be_read_as_something_else_is_refused(
    header: tuple[bytes, bytes],
) -> None:
    written = web.encode_response(web.ResponseHead(200, (header,)), b"")

    with pytest.raises(web.WebFormatError):
        web.decode_response(written)


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, 65_535])
def test_a_status_that_ends_no_request_is_refused(status: int) -> None:
    with pytest.raises(web.WebFormatError, match="status"):
        web.decode_response(web.encode_response(web.ResponseHead(status, ()), b""))


def test_more_headers_than_may_be_are_refused_on_both_sides() -> None:
    many = tuple((b"x-%d" % number, b"") for number in range(web.MAX_HEADERS + 1))
    long = ((b"x", b"v" * web.MAX_HEAD_BYTES),)

    for headers in (many, long):
        with pytest.raises(web.WebFormatError):
            web.encode_response(web.ResponseHead(200, headers), b"")


def test_a_piece_that_is_too_large_is_refused_on_both_sides() -> None:
    data = bytes(web.MAX_PART_BYTES + 1)

    with pytest.raises(web.WebFormatError):
        web.encode_part(web.Body(data, last=False))
    with pytest.raises(web.WebFormatError):
        web.decode_part(b"\x01\x00" + data, web.TO_CONTAINER)
