"""`kill -9` of the server at every write to the store and the disk of every operation on volumes."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.clock import SettableClock
from tests.support.trees import VOLUME, chunk_of, commit, file, folder, listing

from offload.control.blobs.disk import DiskBlobs
from offload.control.core.trees import Changes
from offload.control.ports.volumes import TreeCommit
from offload.control.stores.sqlite import SqliteStore
from offload.wire.landing import put_down, this_machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from offload.wire.trees import Entry

SMALL, LARGE, NEW_SMALL, NEW_LARGE = b"small", b"l" * 100_000, b"new", b"n" * 100_000

# What of the interpreter's own functions writes to the disk or to the store.
WRITES = {
    "executescript", "execute", "fsync", "ftruncate", "mkdir", "open", "open_code", "rename", "replace", "rmdir",
    "unlink", "utime", "write", "writelines",
}  # fmt: skip


class Server:
    """What the server keeps of volumes, on a disk."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.store = SqliteStore(directory / "offload.db")
        self.blobs = DiskBlobs(directory / "blobs", SettableClock(10_000.0))
        self.trees = self.store.volumes

    def close(self) -> None:
        self.blobs.close()
        self.store.close()

    def upload(self, *contents: bytes) -> None:
        self.blobs.write_many({hashlib.sha256(data).hexdigest(): data for data in contents})

    def state(self) -> tuple[int, dict[str, Entry], tuple[int, ...]]:
        """Return what a reader sees, and that every chunk it names can be read."""
        found = listing(self.trees)
        versions = tuple(snapshot.version for snapshot in self.trees.snapshots(VOLUME, 100))
        for version in versions:
            for entry in listing(self.trees, version).values():
                names = [chunk.sha256 for chunk in entry.chunks]
                assert len(self.blobs.read_many(names)) == len(set(names))
                assert self.store.blobs_in_use(names) == set(names)
        return self.trees.newest(VOLUME), found, versions


def put(server: Server) -> None:
    server.upload(NEW_SMALL, NEW_LARGE)
    commit(server.trees, file("a/small", NEW_SMALL), file("new/large", NEW_LARGE), commit_id="put")


def adopt(server: Server) -> None:
    content = (NEW_SMALL, NEW_LARGE)
    pack = put_down(server.blobs.landing(this_machine()), content)
    assert pack is not None
    server.blobs.adopt(pack.name, [len(data) for data in content])
    commit(server.trees, file("a/small", NEW_SMALL), file("new/large", NEW_LARGE), commit_id="put")


def remove(server: Server) -> None:
    commit(server.trees, removes=("a/large",), remove_trees=("b",), commit_id="remove")


def copy(server: Server) -> None:
    commit(server.trees, copies=(("a", "copies/a"),), commit_id="copy")


def rename(server: Server) -> None:
    commit(server.trees, renames=(("a", "renamed"),), commit_id="rename")


def restore(server: Server) -> None:
    server.trees.restore(TreeCommit(VOLUME, "restore", "a test", 9.0, Changes()), 1)


def collect(server: Server) -> None:
    while (done := server.trees.prune(5.0, 2)).rows:
        for sha256 in set(done.blobs) - server.store.blobs_in_use(done.blobs):
            server.blobs.remove(sha256, 20_000.0)


def delete(server: Server) -> None:
    server.trees.forget([VOLUME])


def upload_as_one(server: Server) -> None:
    writer = server.blobs.writer()
    writer.write(NEW_LARGE)
    writer.commit(chunk_of(NEW_LARGE).sha256)
    commit(server.trees, file("one", NEW_LARGE), commit_id="one")


OPERATIONS: dict[str, Callable[[Server], None]] = {
    "put": put, "adopt": adopt, "remove": remove, "copy": copy, "rename": rename, "restore": restore, "delete": delete,
    "upload_as_one": upload_as_one,
}  # fmt: skip


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """Return a directory with a volume of two versions."""
    server = Server(tmp_path / "start")
    server.upload(SMALL, LARGE)
    commit(server.trees, file("a/small", SMALL), file("a/large", LARGE), folder("b"), at=1.0)
    commit(server.trees, file("a/small", LARGE), file("b/x", SMALL), at=2.0)
    server.close()
    return tmp_path / "start"


def killed_at(directory: Path, operation: Callable[[Server], None], step: int) -> bool:
    """Carry out an operation in a process that kills itself at the step-th write; return whether it came to that."""
    server_pid = os.fork()
    if server_pid == 0:
        left = step

        def count(_frame: FrameType, event: str, called: object) -> None:
            nonlocal left
            if event == "c_call" and getattr(called, "__name__", "") in WRITES:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            server = Server(directory)
            sys.setprofile(count)
            operation(server)
            sys.setprofile(None)
        finally:
            os._exit(0)
    _, status = os.waitpid(server_pid, 0)
    return os.WIFSIGNALED(status)


def state_of(directory: Path) -> object:
    server = Server(directory)
    try:
        return server.state()
    finally:
        server.close()


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_killed_server_leaves_a_volume_as_it_was_before_or_after(
    start: Path, tmp_path: Path, name: str
) -> None:
    before = state_of(start)
    shutil.copytree(start, tmp_path / "whole")
    assert not killed_at(tmp_path / "whole", OPERATIONS[name], 10**9)
    after = state_of(tmp_path / "whole")

    seen = []
    for step in range(1, 10_000):
        directory = tmp_path / str(step)
        shutil.copytree(start, directory)
        if not killed_at(directory, OPERATIONS[name], step):
            break
        seen.append(state_of(directory))
        # And what was cut off can be done again.
        assert not killed_at(directory, OPERATIONS[name], 10**9)
        assert state_of(directory) == after
        shutil.rmtree(directory)

    assert len(seen) >= 3
    assert all(state in (before, after) for state in seen)
    # Once it has happened it does not become undone by a later kill.
    assert sorted(seen, key=lambda state: state == after) == seen


def test_a_kill_while_old_versions_are_collected_takes_nothing_that_is_in_use(
    start: Path, tmp_path: Path
) -> None:
    _, newest, _ = state_of(start)  # type: ignore[misc]  # see `Server.state`

    for step in range(1, 10_000):
        directory = tmp_path / str(step)
        shutil.copytree(start, directory)
        if not killed_at(directory, collect, step):
            break
        found = state_of(directory)
        assert found[1] == newest  # type: ignore[index]  # as above
        shutil.rmtree(directory)

    assert step > 5
    assert state_of(directory)[2] == (2,)  # type: ignore[index]  # as above
