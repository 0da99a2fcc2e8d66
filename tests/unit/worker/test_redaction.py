"""What is hidden of secrets in what a container prints: the values alone, without any container."""

from __future__ import annotations

import base64
import itertools
import json
import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from offload.worker.core.redaction import MASK, MIN_CHARACTERS, MIN_PART, Redactor

VALUE = "correct horse battery"
# What a value is made of is not in what surrounds it, so that nothing of it is there by chance.
VALUES = st.text("abcdefghijk0123456789+/=-_ \"'\\\n", min_size=MIN_CHARACTERS, max_size=60).filter(
    lambda value: len(value.replace("\n", "")) >= MIN_CHARACTERS
)
AROUND = st.text("XYZÄ€\t", max_size=20)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(at % (len(text) + 1) for at in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def redact(redactor: Redactor, lines: list[str]) -> list[str]:
    return [redactor.line("out", line) for line in lines]


def test_a_value_in_a_line_is_hidden_and_the_rest_is_not() -> None:
    assert Redactor([VALUE]).line("out", f"it is {VALUE}!") == f"it is {MASK}!"


def test_a_line_without_a_value_stays_as_it_is() -> None:
    assert Redactor([VALUE]).line("out", "nothing here, of course") == "nothing here, of course"


@given(value=VALUES, before=AROUND, after=AROUND, places=st.lists(st.integers(0, 200), max_size=6))
def test_a_value_split_anywhere_over_lines_shows_less_than_a_part_of_it(
    value: str, before: str, after: str, places: list[int]
) -> None:
    lines = [line for piece in cut(before + value + after, places) for line in piece.split("\n")]

    shown = "".join(redact(Redactor([value]), lines))

    assert value.replace("\n", "") not in shown
    left = shown.replace(MASK, "").translate(dict.fromkeys(map(ord, "XYZÄ€\t")))
    assert len(left) < MIN_PART


@given(
    value=VALUES,
    before=st.binary(max_size=5),
    after=st.binary(max_size=5),
    places=st.lists(st.integers(0, 200), max_size=3),
    encode=st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
)
def test_a_value_in_base64_is_hidden_wherever_it_begins_and_however_it_is_wrapped(
    value: str, before: bytes, after: bytes, places: list[int], encode
) -> None:
    encoded = encode(before + value.encode() + after).decode()

    shown = "".join(redact(Redactor([value]), cut(encoded, places)))

    first = (len(before) * 8 + 5) // 6
    last = (len(before) + len(value.encode())) * 8 // 6
    assert encoded[first:last] not in shown
    assert MASK in shown


@given(value=VALUES, text=AROUND)
def test_whole_texts_hide_values_with_their_line_ends(value: str, text: str) -> None:
    shown = Redactor([value]).text(f"{text}{value}{text}")

    assert shown.replace("\n", "") == f"{text}{MASK}{text}"


@given(values=st.lists(VALUES, min_size=1, max_size=4), text=st.text("XYZ\n", max_size=30))
def test_what_holds_no_value_is_not_changed(values: list[str], text: str) -> None:
    redactor = Redactor(values)

    assert redactor.text(text) == text
    assert redact(redactor, text.split("\n")) == text.split("\n")


@pytest.mark.parametrize(
    "write", [repr, json.dumps, lambda value: value.replace("%", "%25").replace(" ", "%20")]
)
def test_a_value_is_hidden_as_python_json_and_urls_write_it(write) -> None:
    value = "pass%word with space"

    assert "with" not in Redactor([value]).text(write(value))


def test_each_line_of_a_value_of_several_is_hidden_by_itself() -> None:
    redactor = Redactor(["-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----"])

    assert redactor.text("the middle is MIIEowIBAAKCAQEA") == f"the middle is {MASK}"


def test_short_values_are_not_looked_for() -> None:
    assert Redactor(["12345"]).text("12345") == "12345"


def test_streams_are_apart() -> None:
    redactor = Redactor([VALUE])

    first = redactor.line("out", VALUE[:10])
    other = redactor.line("err", VALUE[10:])

    assert (first, other) == (MASK, VALUE[10:])


@given(value=VALUES, text=AROUND)
def test_a_pickle_in_which_values_are_hidden_is_one_still(value: str, text: str) -> None:
    assume("\n" not in value)
    error = ValueError(f"{text}{value}", {value: [value.encode()]})

    hidden = pickle.loads(Redactor([value]).same_length(pickle.dumps(error)))  # noqa: S301  # its own

    stars = "*" * len(value)
    assert isinstance(hidden, ValueError)
    assert hidden.args == (f"{text}{stars}", {stars: [stars.encode()]})
