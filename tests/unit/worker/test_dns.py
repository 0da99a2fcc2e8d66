"""The forwarder's understanding of DNS, against what strangers send."""

from __future__ import annotations

import pytest

from offload.worker.core.dns import (
    REFUSED,
    Answer,
    answers_to,
    read_addresses,
    read_question,
    refuse,
)
from offload.worker.core.network import is_allowed


def a_name(text: str) -> bytes:
    """Write a name as a message has it."""
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".")) + b"\0"


def a_query(text: str = "example.org", number: bytes = b"ab") -> bytes:
    """Ask for a name's IPv4 address."""
    return number + b"\1\0\0\1\0\0\0\0\0\0" + a_name(text) + b"\0\1\0\1"


def an_answer(query: bytes, *records: bytes) -> bytes:
    """Answer a query with records."""
    head = query[:2] + b"\x81\x80\0\1" + len(records).to_bytes(2, "big") + b"\0\0\0\0"
    return head + query[12:] + b"".join(records)


def a_record(kind: int, data: bytes, name: bytes = b"\xc0\x0c", ttl: int = 60) -> bytes:
    """Write a record of class IN."""
    head = kind.to_bytes(2, "big") + b"\0\1" + ttl.to_bytes(4, "big")
    return name + head + len(data).to_bytes(2, "big") + data


def test_addresses_are_read_also_behind_another_name() -> None:
    query = a_query()
    message = an_answer(
        query,
        a_record(5, a_name("cdn.example.net")),
        a_record(1, bytes([192, 0, 2, 1]), a_name("cdn.example.net"), ttl=30),
        a_record(28, bytes(16)),
    )

    assert read_question(query).name == "example.org"
    assert read_addresses(message) == [Answer("192.0.2.1", 30)]
    assert answers_to(query, message)


def test_an_answer_to_another_question_is_no_answer() -> None:
    query = a_query()

    assert not answers_to(query, an_answer(a_query("example.net")))
    assert not answers_to(query, an_answer(a_query(number=b"xy")))
    assert not answers_to(query, query)


def test_a_refusal_repeats_the_question() -> None:
    refusal = refuse(a_query(), REFUSED)

    assert answers_to(a_query(), refusal)
    assert refusal[3] & 0xF == REFUSED


@pytest.mark.parametrize(
    "message",
    [
        b"",
        a_query()[:-1],
        a_query()[:14],
        b"ab\1\0\0\2" + a_query()[6:],
        b"ab\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1",  # points at itself
        a_query()[:12] + b"\3a.b\0\0\1\0\1",  # a dot within a label
        a_query()[:12] + b"\2\xc3\xa4\0\0\1\0\1",
    ],
)
def test_what_is_not_one_plain_question_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_question(message)


def test_an_answer_that_is_cut_off_is_refused() -> None:
    message = an_answer(a_query(), a_record(1, bytes(4)))

    with pytest.raises(ValueError, match="cut off"):
        read_addresses(message[:-8])


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("example.org", True),
        ("EXAMPLE.org.", True),
        ("www.example.org", False),
        ("a.below.example.net", True),
        ("b.a.below.example.net", True),
        ("below.example.net", False),
        ("notbelow.example.net", False),
        ("example.org.evil.net", False),
        ("", False),
    ],
)
def test_a_name_is_allowed_as_written_or_below_a_star(name: str, *, allowed: bool) -> None:
    assert is_allowed(name, ("example.org", "*.below.example.net")) is allowed
