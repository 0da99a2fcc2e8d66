"""How a runner ends: by a broken worker, by its user's code, and what a fork of it must not do."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415, T201

from __future__ import annotations

import sys

import pytest
from tests.support.runner import RunnerEndError, RunnerProcess

from offload.wire import guest


@pytest.mark.parametrize(
    "junk",
    [b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xee", guest.encode(guest.Exiting(1))],
    ids=["oversize", "unknown kind", "not for the runner"],
)
def test_a_malformed_frame_ends_the_runner_with_one_clear_line(junk: bytes) -> None:
    with RunnerProcess() as runner:
        runner.wait_for(guest.Hello)

        runner.socket.sendall(junk)
        code, stderr = runner.wait_end()

    assert code == 70
    assert stderr.startswith("offload runner: malformed frame from the worker: ")
    assert stderr.count("\n") == 1


def test_a_body_whose_pieces_never_came_is_malformed() -> None:
    with RunnerProcess() as runner:
        runner.send(guest.Run((guest.Task("in-1", 1, guest.Body("pickle", b"", 7)),)))

        code, stderr = runner.wait_end()

    assert code == 70
    assert "bulk 7" in stderr


@pytest.mark.parametrize("busy", [False, True])
def test_a_runner_without_a_worker_ends_at_once(busy: bool) -> None:
    def spin():
        while True:
            pass

    with RunnerProcess() as runner:
        runner.load(spin)
        if busy:
            runner.run("in-1")
            runner.wait_for(guest.Begun)

        runner.socket.close()
        code, _ = runner.wait_end()

    assert code == 69


def test_a_runner_whose_worker_goes_away_while_it_loads_ends_at_once() -> None:
    class Slow:
        def __reduce__(self):
            return eval, ("print('loading') or __import__('threading').Event().wait()",)

    with RunnerProcess() as runner:
        runner.send(guest.Load("slow", False, runner.body(Slow()), tuple(sys.path), (), "/"))
        runner.wait_for(guest.Outputs)

        runner.socket.close()
        code, _ = runner.wait_end()

    assert code == 69


def test_exiting_from_user_code_sends_what_is_done_and_says_so() -> None:
    def end(code):
        import os

        print("last words")
        if code:
            os._exit(code)

    with RunnerProcess() as runner:
        runner.load(end)

        runner.send(guest.Run((runner.task("in-1", 0), runner.task("in-2", 3))))
        exiting = runner.wait_for(guest.Exiting)
        code, _ = runner.wait_end()

        results = [r for m in runner.seen if isinstance(m, guest.Results) for r in m.results]
        assert [r.input_id for r in results] == ["in-1"]
        assert [m.input_id for m in runner.seen if isinstance(m, guest.Begun)] == ["in-2"]
        assert ("in-2", "stdout", "last words") in runner.lines()
        assert (exiting.code, code) == (3, 3)


def test_a_segfault_shows_where_it_happened_on_the_processs_own_stderr() -> None:
    def crash():
        import ctypes

        ctypes.string_at(0)

    with RunnerProcess() as runner:
        runner.load(crash)
        runner.run("in-1")

        with pytest.raises(RunnerEndError):
            runner.wait_for(guest.Results)
        code, stderr = runner.wait_end()

    assert code == -11
    assert "Segmentation fault" in stderr
    assert "in crash" in stderr


def test_a_fork_of_user_code_never_speaks_for_the_container() -> None:
    def fork():
        import os

        pid = os.fork()
        print("in the child" if pid == 0 else "in the parent")
        if pid:
            os.waitpid(pid, 0)
        return pid

    with RunnerProcess() as runner:
        runner.load(fork)

        result = runner.call()
        again = runner.call()

        assert runner.value(result) > 0
        assert runner.value(again) > 0
        assert {text for _, _, text in runner.lines()} == {"in the parent"}


def test_multiprocessing_works_inside_a_function() -> None:
    def pool():
        import multiprocessing

        with multiprocessing.get_context("fork").Pool(2) as workers:
            return workers.map(abs, [-1, -2, -3])

    with RunnerProcess() as runner:
        runner.load(pool)

        assert runner.value(runner.call()) == [1, 2, 3]
