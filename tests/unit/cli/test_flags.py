import enum
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
import pytest

from offload.cli.exits import CliError
from offload.cli.flags import flags_of


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def call(function: Callable[..., object], *words: str) -> object:
    flags = flags_of(function, "main")
    context = click.Command("main", params=flags.parameters).make_context("main", list(words))
    bound = flags.arguments(context.params)
    return function(*bound.args, **bound.kwargs)


def test_each_simple_hint_becomes_a_flag_of_its_type():
    def main(count: int, ratio: float, name: str, path: Path, at: datetime) -> tuple[object, ...]:
        return count, ratio, name, path, at

    got = call(
        main,
        "--count",
        "-3",
        "--ratio",
        "0.5",
        "--name",
        "x",
        "--path",
        "a/b",
        "--at",
        "2026-01-02",
    )

    assert got == (-3, 0.5, "x", Path("a/b"), datetime(2026, 1, 2))  # noqa: DTZ001  # as the flag reads it


def test_a_bool_can_be_switched_on_and_off():
    def main(fast: bool = True) -> bool:
        return fast

    assert call(main) is True
    assert call(main, "--fast") is True
    assert call(main, "--no-fast") is False


def test_underscores_become_dashes():
    def main(max_files: int = 1) -> int:
        return max_files

    assert call(main, "--max-files", "4") == 4


def test_a_parameter_without_default_is_required():
    def main(x: int) -> int:
        return x

    with pytest.raises(click.MissingParameter):
        call(main)


def test_a_bool_without_default_is_required():
    def main(fast: bool) -> bool:
        return fast

    assert call(main, "--no-fast") is False
    with pytest.raises(click.MissingParameter):
        call(main)


def test_an_optional_parameter_is_none_when_left_out():
    def main(x: int | None) -> int | None:
        return x

    assert call(main) is None
    assert call(main, "--x", "2") == 2


def test_a_literal_takes_its_members_and_nothing_else():
    def main(mode: Literal["fast", "safe"] = "safe", size: Literal[1, 2] = 1) -> tuple[str, int]:
        return mode, size

    assert call(main, "--mode", "fast", "--size", "2") == ("fast", 2)
    with pytest.raises(click.BadParameter):
        call(main, "--mode", "slow")


def test_an_enum_is_chosen_by_name():
    def main(colour: Colour = Colour.RED) -> Colour:
        return colour

    assert call(main) is Colour.RED
    assert call(main, "--colour", "BLUE") is Colour.BLUE


def test_a_list_repeats_its_flag():
    def main(x: list[int]) -> list[int]:
        return x

    assert call(main, "--x", "1", "--x", "2") == [1, 2]


def test_a_default_list_stays_what_it_is():
    def main(x: tuple[str, ...] = ("a", "b")) -> tuple[str, ...]:
        return x

    assert call(main) == ("a", "b")
    assert call(main, "--x", "c") == ("c",)


def test_star_arguments_take_what_is_left():
    def main(*names: str, loud: bool = False) -> tuple[object, ...]:
        return *names, loud

    assert call(main, "--loud", "a", "b") == ("a", "b", True)


def test_a_missing_hint_is_guessed_from_the_default():
    def main(x=3, y="z"):
        return x, y

    assert call(main, "--x", "4") == (4, "z")


@pytest.mark.parametrize("hint", [dict[str, int], int | str, list[list[int]], object])
def test_a_hint_without_a_flag_is_refused_by_name(hint):
    def main(settings):
        return settings

    main.__annotations__["settings"] = hint

    with pytest.raises(CliError, match="'settings' of 'main'"):
        flags_of(main, "main")


def test_an_unreadable_hint_is_refused():
    def main(x: "Missing"):  # noqa: F821  # that is the point
        return x

    with pytest.raises(CliError, match="Missing"):
        flags_of(main, "main")
