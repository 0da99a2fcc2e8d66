"""The store and the blobs under kills, damage, full disks and missing permissions, with real processes and files."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.clock import SettableClock
from tests.support.records import app_with_call, call, inputs, outcome, outcomes

from offload.control.blobs.disk import DiskBlobs
from offload.control.ports.blobs import BlobError
from offload.control.ports.records import FinishCall, SaveCall
from offload.control.ports.store import StoreError
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from offload.control.core.events import CallRestored

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")

COMMITTING = """
import sys
from pathlib import Path
from offload.control.stores.sqlite import SqliteStore
from tests.support.records import app_with_call, inputs, outcome, outcomes

path, first = Path(sys.argv[1]), int(sys.argv[2])
store = SqliteStore(path)
store.commit(app_with_call())
while True:
    batch = range(first, first + 20)
    store.commit([inputs(batch), outcomes(*(outcome(i, i + 1) for i in batch if i % 2))])
    first += 20
    print(first, flush=True)
"""

COLLECTING = """
import sys
from pathlib import Path
from offload.control.stores.sqlite import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
while True:
    print(store.collect(100.0, 40).rows, flush=True)
"""


@contextlib.contextmanager
def small_disk(directory: Path, size: str, options: str = "rw") -> Iterator[Path]:
    directory.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", str(directory)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        yield directory
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(directory)], check=True)


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Take root's powers away for a while; an ordinary user has none to lose."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_whatever_was_acknowledged_is_there_after_kill_9(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    path = tmp_path / "offload.db"
    acknowledged = 0
    chance = random.Random(7)  # noqa: S311 - the same kills every time

    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", COMMITTING, str(path), str(acknowledged)],
            cwd=pytestconfig.rootpath,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(chance.randint(1, 40)):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        said = child.stdout.read().split()
        child.wait()
        child.stdout.close()

        store = SqliteStore(path)
        (restored,) = tuple(store.open_calls())
        left = [index for run in restored.unfinished for index in run]
        ended = {row.index for row in store.outcomes("fc-A", 0, 10**6)}
        store.close()
        saved = len(left) + len(ended)
        acknowledged = max([acknowledged, *(int(number) for number in said if number.isdigit())])
        assert saved >= acknowledged
        assert left == list(range(0, saved, 2))
        assert ended == set(range(1, saved, 2))
        assert restored.counts.get("succeeded", 0) == len(ended)
        acknowledged = saved


def test_a_call_being_collected_is_whole_or_gone_after_kill_9(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    path = tmp_path / "offload.db"
    ids = [f"fc-{n}" for n in range(30)]
    store = SqliteStore(path)
    store.commit([*app_with_call("fc-OPEN"), inputs(range(3), "fc-OPEN")])
    for n, call_id in enumerate(ids):
        ended = outcomes(*(outcome(i, i + 1, call_id) for i in range(n * 5)))
        store.commit([SaveCall(call(call_id)), inputs(range(n * 5), call_id), ended])
        store.commit([FinishCall(call_id, "succeeded", 10.0)])
    store.close()
    chance = random.Random(7)  # noqa: S311 - the same kills every time

    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", COLLECTING, str(path)],
            cwd=pytestconfig.rootpath,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        for _ in range(chance.randint(1, 12)):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()

        store = SqliteStore(path)
        for n, call_id in enumerate(ids):
            found = store.call(call_id)
            size = 0 if found is None else n * 5
            assert len(store.outcomes(call_id, 0, 1000)) == size
            assert len(store.payloads([f"in-{n}-{i}" for i in range(n * 5)])) == size
        store.close()

    store = SqliteStore(path)
    collect_all(store, 40)
    assert [found.call_id for found in store.calls("", False, 100)] == ["fc-OPEN"]
    assert len(store.payloads(["in-OPEN-0", "in-OPEN-1", "in-OPEN-2"])) == 3
    store.close()
    with sqlite3.connect(path) as connection:
        left = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("inputs", "outcomes", "call_counts", "collected_calls")
        ]
    connection.close()
    assert left == [3, 0, 0, 0]


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "offload.db"
    path.write_text("my holiday pictures " * 500)

    with pytest.raises(StoreError) as refusal:
        SqliteStore(path)

    assert str(path) in refusal.value.message
    assert "restore it from a backup, or move it away to start empty" in refusal.value.message
    assert path.read_text().startswith("my holiday pictures")


@pytest.mark.parametrize("kept_share", [0.3, 0.9])
def test_a_truncated_database_is_refused_with_what_to_do(tmp_path: Path, kept_share: float) -> None:
    path = filled_database(tmp_path)
    os.truncate(path, int(path.stat().st_size * kept_share))

    with pytest.raises(StoreError, match=r"is damaged .*move it away to start empty"):
        SqliteStore(path)


def test_a_database_with_overwritten_pages_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = filled_database(tmp_path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 3 * 4096)

    with pytest.raises(StoreError, match=r"is damaged .*move it away to start empty"):
        SqliteStore(path)


def test_a_database_moved_away_gives_an_empty_start(tmp_path: Path) -> None:
    path = filled_database(tmp_path)
    path.rename(tmp_path / "old.db")

    store = SqliteStore(path)

    assert store.apps(10) == []
    store.close()


@needs_root
def test_a_full_disk_fails_a_commit_whole_and_room_heals_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 400_000)
        store = SqliteStore(disk / "offload.db")
        store.commit(app_with_call())

        done, refusal = commit_until_refused(store, 500)

        assert "free some space" in refusal.message
        assert unfinished_count(next(iter(store.open_calls()))) == done

        ballast.unlink()
        store.commit([inputs(range(done, done + 500)), outcomes(outcome(0, 1))])

        assert unfinished_count(next(iter(store.open_calls()))) == done + 499
        store.close()


@needs_root
def test_a_call_refused_by_a_full_disk_keeps_apart_from_the_next_one(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        store = SqliteStore(disk / "offload.db")
        store.commit(app_with_call())
        fill(disk / "ballast")
        refused = [SaveCall(call("fc-REFUSED")), inputs(range(2000), "fc-REFUSED")]
        with pytest.raises(StoreError, match="free some space"):
            store.commit(refused)

        (disk / "ballast").unlink()
        store.commit([SaveCall(call("fc-NEXT")), inputs([0], "fc-NEXT")])
        store.commit(refused)

        sizes = {found.call.call_id: unfinished_count(found) for found in tuple(store.open_calls())}
        assert sizes == {"fc-A": 0, "fc-NEXT": 1, "fc-REFUSED": 2000}
        store.close()


@needs_root
def test_collection_fails_whole_on_a_full_disk_and_goes_on_with_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        store = SqliteStore(disk / "offload.db")
        store.commit([*app_with_call(), inputs(range(5000)), FinishCall("fc-A", "failed", 1.0)])
        fill(disk / "ballast")

        with pytest.raises(StoreError, match="free some space"):
            collect_all(store, 1000)
        (disk / "ballast").unlink()
        collect_all(store, 1000)

        assert store.calls("", False, 10) == []
        assert store.payloads(["in-A-0", "in-A-4999"]) == {}
        store.close()


@needs_root
def test_a_full_disk_at_start_is_one_sentence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        fill(disk / "ballast")

        with pytest.raises(StoreError, match="free some space"):
            SqliteStore(disk / "offload.db")


@needs_root
def test_a_blob_on_a_full_disk_fails_and_gives_its_room_back(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        blobs = DiskBlobs(disk / "blobs", SettableClock())
        writer = blobs.writer()

        with pytest.raises(BlobError, match="free some space"):
            writer.write(b"x" * 5 * 1024 * 1024)
        writer.abort()

        again = blobs.writer()
        again.write(b"x" * 1024 * 1024)
        sha256, _ = again.commit("")
        assert blobs.has(sha256)


@needs_root
def test_a_read_only_file_system_is_one_sentence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m", "ro") as disk:
        with pytest.raises(StoreError, match="choose another data directory"):
            SqliteStore(disk / "offload.db")
        with pytest.raises(BlobError, match="mount its file system writable"):
            DiskBlobs(disk / "blobs", SettableClock())


def test_a_directory_of_somebody_else_is_one_sentence(tmp_path: Path) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir(mode=0o500)

    with ordinary_user():
        with pytest.raises(StoreError, match="let the server's user write"):
            SqliteStore(directory / "offload.db")
        with pytest.raises(BlobError, match="let the server's user read and write it"):
            DiskBlobs(directory / "blobs", SettableClock())


@pytest.mark.parametrize("is_directory_writable", [False, True])
def test_a_database_that_became_read_only_is_one_sentence(
    tmp_path: Path, is_directory_writable: bool
) -> None:
    path = filled_database(tmp_path)
    (tmp_path / "offload.db.lock").chmod(0o666)
    path.chmod(0o444)
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)
    if is_directory_writable and os.geteuid() == 0:
        os.chown(tmp_path, 65534, -1)

    with ordinary_user(), pytest.raises(StoreError, match="let the server's user"):
        SqliteStore(path)


def filled_database(directory: Path) -> Path:
    """Return a database of some hundred pages with nothing left in its log."""
    path = directory / "offload.db"
    store = SqliteStore(path)
    store.commit([*app_with_call(), inputs(range(20_000))])
    store.close()
    assert not path.with_name("offload.db-wal").exists()
    return path


def commit_until_refused(store: SqliteStore, batch: int) -> tuple[int, StoreError]:
    """Return how many inputs were acknowledged, and the error that ended it."""
    done = 0
    while True:
        try:
            store.commit([inputs(range(done, done + batch))])
        except StoreError as error:
            return done, error
        done += batch


def collect_all(store: SqliteStore, limit: int) -> None:
    """Collect until nothing is left."""
    while store.collect(100.0, limit).rows:
        pass


def unfinished_count(restored: CallRestored) -> int:
    """Return how many inputs are left."""
    return sum(map(len, restored.unfinished))


def fill(path: Path) -> None:
    """Write until there is no room left."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
