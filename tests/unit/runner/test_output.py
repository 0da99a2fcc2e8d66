"""What functions print, line by line, to whom it belongs."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415, T201

from __future__ import annotations

import pytest
from tests.support.runner import RunnerEndError, RunnerProcess

from offload.wire import guest


def printed(function: object, *args: object) -> list[tuple[str, str, str]]:
    with RunnerProcess() as runner:
        runner.load(function)
        result = runner.call(*args)
        assert result.fault is None, result.fault
        return runner.lines()


def test_lines_are_attributed_to_their_input_and_stream() -> None:
    def talk(name):
        import sys

        print("hello", name)
        print("oh no", file=sys.stderr)

    with RunnerProcess() as runner:
        runner.load(talk)
        runner.run("in-1", "a")
        runner.result()
        runner.run("in-2", "b")
        runner.result()

        assert runner.lines() == [
            ("in-1", "stdout", "hello a"),
            ("in-1", "stderr", "oh no"),
            ("in-2", "stdout", "hello b"),
            ("in-2", "stderr", "oh no"),
        ]


def test_an_unfinished_line_is_sent_at_the_end_of_its_input() -> None:
    def talk():
        print("a", end="")
        print("b", end="")

    assert printed(talk) == [("in-1", "stdout", "ab")]


def test_what_was_flushed_or_said_on_stderr_is_out_whatever_ends_the_process_next() -> None:
    def die():
        import os
        import signal
        import sys

        print("flushed", flush=True)
        print("last words", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGKILL)

    with RunnerProcess() as runner:
        runner.load(die)
        runner.run("in-1")
        with pytest.raises(RunnerEndError):
            runner.result()

        assert [text for _, _, text in runner.lines()] == ["flushed", "last words"]


def test_bytes_and_text_come_in_the_order_they_were_written() -> None:
    def talk():
        import sys

        print("text")
        sys.stdout.buffer.write(b"bytes \xff\n")
        sys.stdout.flush()
        print("täxt")

    assert [text for _, _, text in printed(talk)] == ["text", "bytes \ufffd", "täxt"]


def test_a_progress_bar_shows_its_last_state_and_not_every_one() -> None:
    def work():
        for percent in range(101):
            print(f"\r{percent} %", end="")
        print()

    lines = [text for _, _, text in printed(work)]

    assert lines[-1] == "100 %"
    assert len(lines) < 10


def test_empty_lines_and_windows_line_ends_are_kept_apart() -> None:
    def talk():
        print("a\r\n\nb\r\n", end="")

    assert [text for _, _, text in printed(talk)] == ["a", "", "b"]


def test_a_logging_handler_made_at_import_keeps_working_for_every_input() -> None:
    def make():
        import logging
        import sys

        logger = logging.getLogger("test")
        if not logger.handlers:
            logger.addHandler(logging.StreamHandler(sys.stderr))
        logger.warning("careful")

    with RunnerProcess() as runner:
        runner.load(make)
        runner.run("in-1")
        runner.result()
        runner.run("in-2")
        runner.result()

        assert runner.lines() == [
            ("in-1", "stderr", "careful"),
            ("in-2", "stderr", "careful"),
        ]


def test_a_closed_stdout_harms_only_the_input_that_closed_it() -> None:
    def close(do_close):
        import sys

        if do_close:
            sys.stdout.close()
        print("printed")

    with RunnerProcess() as runner:
        runner.load(close)

        fault = runner.call(True).fault
        again = runner.call(False)

        assert fault is not None
        assert fault.message == "I/O operation on closed file: this input closed sys.stdout"
        assert again.fault is None
        assert runner.lines() == [("in-1", "stdout", "printed")]


def test_a_replaced_stdout_is_back_for_the_next_input() -> None:
    def replace(do_replace):
        import io
        import sys

        if do_replace:
            sys.stdout = io.StringIO()
        print("printed")

    with RunnerProcess() as runner:
        runner.load(replace)
        runner.call(True)
        runner.call(False)

        assert runner.lines() == [("in-1", "stdout", "printed")]


def test_a_long_line_is_split_between_characters() -> None:
    def talk():
        import sys

        for _ in range(10):
            sys.stdout.write("€" * 10_000)

    lines = [text for _, _, text in printed(talk)]

    assert "".join(lines) == "€" * 100_000
    assert all(len(line.encode()) <= 64 * 1024 for line in lines)


def test_a_flood_arrives_whole_and_in_order() -> None:
    def flood(count):
        for i in range(count):
            print(i)

    assert [text for _, _, text in printed(flood, 50_000)] == [str(i) for i in range(50_000)]


def test_a_line_is_seen_while_its_input_still_runs() -> None:
    def talk():
        import threading

        print("working")
        threading.Event().wait()

    with RunnerProcess() as runner:
        runner.load(talk)
        runner.run("in-1")

        lines = runner.wait_for(guest.Outputs).lines

        assert lines == (guest.Output("in-1", "stdout", "working"),)


def test_a_thread_that_prints_belongs_to_the_input_that_runs_then() -> None:
    def talk():
        import threading

        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()

    assert printed(talk) == [("in-1", "stdout", "from a thread")]


def test_subprocesses_write_to_the_containers_own_streams() -> None:
    def talk():
        import subprocess

        subprocess.run(["echo", "from below"], check=True)

    with RunnerProcess() as runner:
        runner.load(talk)
        runner.call()

        assert runner.process.stdout.readline() == b"from below\n"
