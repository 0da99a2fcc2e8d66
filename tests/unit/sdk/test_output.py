"""What functions print reaches whatever stands where the streams were, and never ends the app."""

import contextlib
import io
import logging

import pytest

from offload.sdk.output import StreamOutput, ToughOutput
from offload.sdk.values import LogLine

LINE = LogLine(0.0, "fc-1", "in-1-7", "ct-1", "stdout", "hello", 1, "work")


class OnlyWrites:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Raises:
    def line(self, line):
        raise RuntimeError("no room")

    progress = line


@pytest.mark.parametrize("stream", [io.StringIO(), OnlyWrites()], ids=["a buffer", "only writes"])
def test_a_line_goes_to_what_a_program_has_put_in_place_of_its_stdout(stream):
    with contextlib.redirect_stdout(stream):
        StreamOutput().line(LINE)

    written = stream.text if isinstance(stream, OnlyWrites) else stream.getvalue()
    assert written == "[work #7] hello\n"


def test_a_program_without_streams_shows_nothing():
    with contextlib.redirect_stdout(None):
        StreamOutput().line(LINE)


def test_an_output_that_raises_is_reported_once_and_asked_again(caplog):
    output = ToughOutput(Raises())

    for _ in range(3):
        output.line(LINE)
        output.progress([])

    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "the app goes on" in caplog.text
    assert "no room" in caplog.text
