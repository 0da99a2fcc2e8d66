"""`wire.records.NamedTuple` is what type checkers take it for: `typing.NamedTuple`."""

from __future__ import annotations

import pickle
import typing

import pytest

from offload.wire import records

if typing.TYPE_CHECKING:
    from collections.abc import Callable


class Ours(records.NamedTuple):
    """A point."""

    x: int
    y: int = 2

    def total(self) -> int:
        """Return the sum."""
        return self.x + self.y


class Theirs(typing.NamedTuple):
    """A point."""

    x: int
    y: int = 2

    def total(self) -> int:
        """Return the sum."""
        return self.x + self.y


class Empty(records.NamedTuple):
    """Nothing."""


@pytest.mark.parametrize(
    "look",
    [
        lambda record: (record(1), record(y=3, x=1), record(1).total()),
        lambda record: (record(1)._replace(y=5), record(1)._asdict()),
        lambda record: (record._fields, record._field_defaults),
        lambda record: (record.__doc__, record.__module__, record.__bases__, record.__slots__),
    ],
    ids=["made", "changed", "fields", "class"],
)
def test_a_record_does_what_a_named_tuple_of_typing_does(look: Callable[[type], object]):
    assert look(Ours) == look(Theirs)


def test_a_record_says_what_it_is():
    assert repr(Ours(1)) == "Ours(x=1, y=2)"


def test_a_record_pickles_by_its_name():
    assert pickle.loads(pickle.dumps(Ours(1))) == Ours(1)  # noqa: S301 - our own


def test_a_record_without_fields_is_an_empty_tuple():
    assert Empty() == ()


def test_a_record_that_lacks_a_field_says_which():
    with pytest.raises(TypeError, match="'x'"):
        Ours()
