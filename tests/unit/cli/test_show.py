"""Tables as a person sees them on terminals of several widths."""

import contextlib
import io
import re

import pytest

from offload.cli.show import print_table

COLUMNS = ("call", "function", "priority", "waits because")
ROWS = [
    ("fc-01m8a2g4aq6106xfdhcryxwp4n", "render", "-", "no worker can ever run it: needs 100 cpus"),
    ("fc-01m8a1cjcycxxn1p13ahsx2k1w", "huge", "-", "-"),
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    def show(width):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")  # of a dumb one rich does not ask the width
        with contextlib.redirect_stdout(Terminal()) as terminal:
            print_table("Calls", COLUMNS, ROWS)
        return re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())

    return show


def test_a_wide_terminal_gets_a_table_without_columns_that_say_nothing(shown):
    lines = [line.rstrip() for line in shown(120).splitlines()]

    assert "priority" not in lines[2]
    assert lines[2].split() == ["call", "function", "waits", "because"]
    assert lines[4].endswith("no worker can ever run it: needs 100 cpus")


def test_a_table_that_fits_but_for_its_sentences_keeps_its_ids_whole_and_wraps_the_sentences(shown):
    out = shown(82)

    assert all(row[0] in out for row in ROWS)
    assert "function:" not in out
    assert max(map(len, out.splitlines())) <= 82


def test_a_narrow_terminal_gets_a_paragraph_for_each_row_with_its_id_whole(shown):
    out = shown(50)

    assert out.splitlines() == [
        "Calls",
        "  fc-01m8a2g4aq6106xfdhcryxwp4n",
        "      function: render; waits because: no worker",
        "      can ever run it: needs 100 cpus",
        "  fc-01m8a1cjcycxxn1p13ahsx2k1w",
        "      function: huge",
        "",
    ]
