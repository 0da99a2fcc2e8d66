"""Large bodies on the worker's disk: bounded, and never a reason for the worker to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from offload.wire.guest import Bulk, GuestProtocolError
from offload.worker.inputs.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path


def test_pieces_become_a_body(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    spool.feed(Bulk(1, b"one", last=False))
    spool.feed(Bulk(1, b"two", last=True))

    body = spool.take(1)

    assert body.file is not None
    body.file.seek(0)
    assert body.file.read() == b"onetwo"
    body.close()


def test_a_body_beyond_the_quota_fails_and_says_why(tmp_path: Path):
    spool = Spool(tmp_path, 1024 * 1024)
    spool.feed(Bulk(1, b"x" * 1024 * 1024, last=False))
    spool.feed(Bulk(1, b"x", last=True))

    body = spool.take(1)

    assert "larger than the 1 MiB a container may have on disk" in body.failure


def test_a_closed_body_makes_room_for_the_next(tmp_path: Path):
    spool = Spool(tmp_path, 10)
    for number in (1, 2, 3):
        spool.feed(Bulk(number, b"x" * 10, last=True))
        body = spool.take(number)

        assert not body.failure
        body.close()


def test_a_disk_that_cannot_be_written_fails_the_body_alone(tmp_path: Path):
    spool = Spool(tmp_path / "gone", 100)
    spool.feed(Bulk(1, b"x", last=True))

    assert "could not keep it on disk" in spool.take(1).failure


def test_a_body_that_was_not_sent_cannot_be_named(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    spool.feed(Bulk(1, b"x", last=False))

    for number in (1, 2):
        with pytest.raises(GuestProtocolError, match="before it had sent it"):
            spool.take(number)
    spool.close()


def test_a_container_that_runs_many_inputs_may_send_as_many_bodies_at_the_same_time(tmp_path: Path):
    spool = Spool(tmp_path, 10_000, inputs_at_once=100)
    for number in range(200):
        spool.feed(Bulk(number, b"x", last=True))

    with pytest.raises(GuestProtocolError, match="without naming one"):
        spool.feed(Bulk(200, b"x", last=True))
    spool.close()


def test_bodies_that_nobody_names_are_bounded_in_number(tmp_path: Path):
    spool = Spool(tmp_path, 10_000)
    for number in range(64):
        spool.feed(Bulk(number, b"x", last=True))

    with pytest.raises(GuestProtocolError, match="without naming one"):
        spool.feed(Bulk(64, b"x", last=True))
    spool.close()
