"""What texts and JSON values become for each type hint."""

# ruff: noqa: UP007, UP045 - as the oldest interpreter has them

from __future__ import annotations

import datetime
import decimal
import enum
import typing
import uuid
from dataclasses import dataclass, field

import pytest

from offload.runner.web.conversion import MismatchError, convert


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


@dataclass
class Part:
    name: str
    count: int = 1


@dataclass
class Whole:
    parts: list[Part]
    note: typing.Optional[str] = None
    tags: set[str] = field(default_factory=set)


class Named(typing.TypedDict):
    name: str


NUMBER = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("value", "hint", "wanted"),
    [
        ("8", int, 8),
        (" 7 ", int, 7),
        (7, int, 7),
        ("1.5", float, 1.5),
        (1, float, 1.0),
        ("on", bool, True),
        ("FALSE", bool, False),
        (True, bool, True),
        ("x", str, "x"),
        ("x", bytes, b"x"),
        (None, typing.Optional[int], None),
        ("7", typing.Union[str, int], 7),
        ("x", int | str, "x"),
        ("a", typing.Literal["a", "b"], "a"),
        ("2", typing.Literal[1, 2], 2),
        (["1", "2"], list[int], [1, 2]),
        ([1, "x"], tuple[int, str], (1, "x")),
        ([1, 2], tuple[int, ...], (1, 2)),
        (["a", "a"], set[str], {"a"}),
        ({"a": "1"}, dict[str, int], {"a": 1}),
        ({"a": 1}, dict, {"a": 1}),
        ("red", Colour, Colour.RED),
        ("2", Colour, Colour.TWO),
        ("2026-01-02", datetime.date, datetime.date(2026, 1, 2)),
        (str(NUMBER), uuid.UUID, NUMBER),
        ("1.10", decimal.Decimal, decimal.Decimal("1.10")),
        ({"parts": [{"name": "a"}]}, Whole, Whole([Part("a")])),
        ({"name": "a"}, Named, {"name": "a"}),
        ("x", typing.Annotated[str, "a note"], "x"),
        ("x", typing.Any, "x"),
        ([1], None, [1]),
    ],
)
def test_a_value_becomes_what_the_hint_asks_for(value, hint, wanted):
    made = convert(value, hint)

    assert made == wanted
    assert type(made) is type(wanted)


@pytest.mark.parametrize(
    ("value", "hint", "said", "where"),
    [
        ("x", int, "an integer", ()),
        (1.5, int, "an integer", ()),
        (True, int, "an integer", ()),
        ("maybe", bool, "true or false", ()),
        (1, str, "a text", ()),
        ("x", typing.Optional[int], "an integer", ()),
        ("x", typing.Union[int, float], "an integer or it must be a number", ()),
        ("c", typing.Literal["a", "b"], "one of 'a', 'b'", ()),
        ("x", list[int], "a list", ()),
        ([1, "x"], list[int], "an integer", (1,)),
        ([1], tuple[int, int], "2 elements", ()),
        ({"parts": [{"name": 1}]}, Whole, "a text", ("parts", 0, "name")),
        ({"parts": [], "more": 1}, Whole, "unknown", ("more",)),
        ({}, Whole, "missing", ("parts",)),
        ({}, Named, "missing", ("name",)),
        ("green", Colour, "one of 'red', 2", ()),
        ("soon", datetime.date, "no date", ()),
        ("x", Part, "an object", ()),
        ("x", uuid.UUID, "no UUID", ()),
    ],
)
def test_what_does_not_fit_says_why_and_where(value, hint, said, where):
    with pytest.raises(MismatchError, match=said) as caught:
        convert(value, hint)

    assert caught.value.where == where


def test_a_model_with_checks_of_its_own_makes_itself():
    class Model:
        @classmethod
        def model_validate(cls, value):
            if value == "bad":
                raise ValueError("not that one")
            return ("made of", value)

    assert convert({"a": 1}, Model) == ("made of", {"a": 1})
    with pytest.raises(MismatchError, match="not that one"):
        convert("bad", Model)
