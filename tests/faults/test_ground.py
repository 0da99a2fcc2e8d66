"""The ground or bubblewrap is killed while a sandbox is being set up, at one system call after the other: nothing is left.

No control group is there to help.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.stepwise import Stepwise

from offload.worker.ports import RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.bubblewrap_container import _pid_of
from offload.worker.runtimes.ground import Ground, Spawn
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.uids import UidRange
from offload.worker.sandbox.arguments import ARGUMENTS_FD, STATUS_FD, TRIAL

Point = tuple[str, int]

# Every call has two steps, and one is enough. A child makes hundreds, most of them mounts; bubblewrap itself only few.
_STRIDES = {"parent": 2, "child": 40}


@pytest.fixture(scope="module")
def bwrap(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return bubblewrap's path, after trying it out."""
    try:
        runtime = BubblewrapRuntime(RuntimeOptions(str(tmp_path_factory.mktemp("data"))))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    runtime._network.close()
    runtime._ground.close()
    return runtime._installed_bwrap


@contextmanager
def a_sandbox_in_set_up(bwrap: str) -> Iterator[tuple[Ground, Stepwise]]:
    """Start a sandbox that stands still before its first step."""
    ground = Ground()
    uids = UidRange() if os.getuid() == 0 else None
    uid = uids.take() if uids else os.getuid()
    home = str(Path(bwrap).parents[2])
    program = bwrap.replace(home, ground.stage_now([home])[home], 1)
    arguments, feed = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        options = ("--args", str(ARGUMENTS_FD), "--json-status-fd", str(STATUS_FD))
        argv = (program, *options, "--", "/bin/sleep", "60")
        spawned = ground.spawn_now(Spawn(argv, uid, (null, null, null, arguments, null)))
        try:
            held = Stepwise(_pid_of(spawned.pidfd))
        except PermissionError as error:
            pytest.skip(f"this machine lets nobody trace a process: {error}")
        finally:
            os.close(spawned.pidfd)
        os.write(feed, "\0".join(TRIAL).encode() + b"\0")
        os.close(feed)
        yield ground, held
    finally:
        ground.close()
        os.close(arguments)
        os.close(null)
        if uids:
            uids.give(uid)


def all_points(bwrap: str) -> list[Point]:
    """Return every step of one undisturbed set-up."""
    with a_sandbox_in_set_up(bwrap) as (ground, held):
        points = list(held.steps())
        ground._process.kill()
        held.let_go()
        held.survivors(5.0)
    return points


def advance(held: Stepwise, point: Point) -> None:
    """Go on until the point has come; a set-up that is over before is over."""
    for step in held.steps():
        if step == point:
            return


@pytest.mark.parametrize("who", ["parent", "child"])
def test_a_ground_killed_at_any_step_of_a_set_up_leaves_no_process(bwrap: str, who: str) -> None:
    points = [point for point in all_points(bwrap) if point[0] == who][:: _STRIDES[who]]

    assert points
    for point in points:
        with a_sandbox_in_set_up(bwrap) as (ground, held):
            advance(held, point)

            ground._process.kill()
            held.let_go()

            assert held.survivors(5.0) == [], point


def test_a_bubblewrap_killed_before_its_child_needs_it_no_more_leaves_no_process(
    bwrap: str,
) -> None:
    # Its last step is to wait for the end of a child that needs nothing more of it.
    points = [point for point in all_points(bwrap) if point[0] == "parent"][:-1:2]

    assert points
    for point in points:
        with a_sandbox_in_set_up(bwrap) as (_, held):
            advance(held, point)

            held.kill()

            assert held.survivors(5.0) == [], point
