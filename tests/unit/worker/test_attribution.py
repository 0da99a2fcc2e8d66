"""Whose fault a container's end is, and how that is said."""

from __future__ import annotations

import pytest

from offload.wire.gen import common_pb2, workers_pb2
from offload.worker.core.attribution import Blame, Ending, blame, failure_of
from offload.worker.core.values import ContainerState, FailureKind, OutcomeState


def test_the_input_known_to_run_is_guilty_and_the_others_are_not():
    assert blame(("a", "b", "c"), "b") == Blame("b", ("a", "c"))


def test_the_only_input_in_hand_is_guilty_without_having_been_said_to_run():
    assert blame(("a",), None) == Blame("a", ())


def test_of_several_none_is_blamed_where_nobody_knows_which_ran():
    assert blame(("a", "b"), None) == Blame(None, (), suspects=("a", "b"))


def test_of_those_that_run_beside_one_another_all_are_suspects_and_those_behind_them_are_not():
    assert blame(("a", "b", "c"), None, suspects=("a", "b")) == Blame(None, ("c",), ("a", "b"))


def test_an_input_that_said_it_ends_the_container_is_guilty_whoever_else_runs():
    assert blame(("a", "b", "c"), "b", suspects=("a", "b")) == Blame("b", ("a", "c"))


def test_an_empty_hand_blames_nobody():
    assert blame((), None) == Blame(None, ())


def test_the_workers_own_doing_blames_nobody():
    assert blame(("a", "b"), "a", is_innocent=True) == Blame(None, ("a", "b"))


@pytest.mark.parametrize(
    ("ending", "kind", "reason"),
    [
        (
            Ending(signal=9, out_of_memory=True, peak_memory_mib=251, memory_mib=256),
            FailureKind.OUT_OF_MEMORY,
            "passed its memory limit of 256 MiB (peak 251 MiB)",
        ),
        (
            Ending(signal=11),
            FailureKind.SIGNAL,
            "its container was ended by signal SIGSEGV (11)",
        ),
        (Ending(signal=60), FailureKind.SIGNAL, "its container was ended by signal 60"),
        (
            Ending(code=3, announced_code=3),
            FailureKind.EXIT,
            "its container exited with code 3 (os._exit or the like)",
        ),
        (
            Ending(code=1, detail="bwrap: no"),
            FailureKind.EXIT,
            "its container exited with code 1: bwrap: no",
        ),
        (
            Ending(signal=9, killed_because="its container broke the runner's protocol: x"),
            FailureKind.EXIT,
            "its container broke the runner's protocol: x",
        ),
    ],
)
def test_an_ending_is_told_in_one_line(ending: Ending, kind: FailureKind, reason: str):
    failure = failure_of(ending)

    assert (failure.kind, failure.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("ours", "schema", "prefix"),
    [
        (FailureKind, common_pb2.FailureKind, "FAILURE_KIND_"),
        (OutcomeState, common_pb2.InputState, "INPUT_STATE_"),
        (ContainerState, workers_pb2.ContainerState, "CONTAINER_STATE_"),
    ],
)
def test_the_cores_numbers_are_the_schemas(ours, schema, prefix):
    for member in ours:
        assert schema.Value(prefix + member.name) == member
