"""Collection never takes a blob that is in use, whatever happens between its steps."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.clock import SettableClock
from tests.support.objects import an_object
from tests.support.records import app_with_call
from tests.support.trees import VOLUME, chunk_of, commit, file, listing

from offload.control.blobs.disk import DiskBlobs
from offload.control.blobs.memory import MemoryBlobs
from offload.control.ports.objects import CreateObject
from offload.control.ports.records import InputRow, SaveInputs
from offload.control.services.retention import BLOB_GRACE_SECONDS, Retention
from offload.control.stores.memory import MemoryStore
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTENTS = [bytes([number]) * (70_000 if number % 2 else 50) for number in range(1, 5)]
NAMES = [hashlib.sha256(content).hexdigest() for content in CONTENTS]

# What others may do at any moment, each by the number of a blob: bring it, ask for it and then name it, name another in its
# place, use it as an input's payload, let time pass.
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["bring", "name", "drop", "payload", "wait"]), st.integers(0, 3)),
    max_size=8,
)


class World:
    """A server's blobs and what names them, and somebody who does things between any two steps of collection."""

    def __init__(self, store: object, blobs: object, clock: SettableClock) -> None:
        self.store, self.blobs, self.clock = store, blobs, clock
        self.volumes, self.objects = store.volumes, store.objects
        self.meanwhile: deque[tuple[str, int]] = deque()
        self.commits = 0
        self.payloads: set[str] = set()

    # --- what collection sees: the store and the blobs, with others at work around every step ---

    def blobs_in_use(self, names: Sequence[str]) -> set[str]:
        return self._between(lambda: self.store.blobs_in_use(names))

    def collect(self, before: float, limit: int) -> object:
        return self._between(lambda: self.store.collect(before, limit))

    def remove(self, sha256: str, older_than: float) -> bool:
        return self._between(lambda: self.blobs.remove(sha256, older_than))

    def stale(self, older_than: float, after: str, limit: int) -> list[str]:
        return self._between(lambda: self.blobs.stale(older_than, after, limit))

    def _between(self, step: Callable[[], object]) -> object:
        self.act()
        answer = step()
        self.act()
        return answer

    # --- what the others do ---

    def act(self) -> None:
        if self.meanwhile:
            kind, number = self.meanwhile.popleft()
            getattr(self, kind)(number)

    def bring(self, number: int) -> None:
        if number % 2:
            self.blobs.write_many({NAMES[number]: CONTENTS[number]})
        else:
            writer = self.blobs.writer()
            writer.write(CONTENTS[number])
            writer.commit(NAMES[number])

    def name(self, number: int) -> None:
        # As `Volumes.commit` does: what is not there is refused, and asking keeps it.
        if not self.blobs.missing([NAMES[number]]):
            self._commit(file(f"file{number}", CONTENTS[number]))

    def drop(self, number: int) -> None:
        self._commit(file(f"file{number}"))

    def payload(self, number: int) -> None:
        # As a caller does: an upload, or a look whether it is there, and then the input.
        if not self.blobs.missing([NAMES[number]]):
            self.commits += 1
            index = self.commits
            row = InputRow(f"in-A-{index}", index, b"payload", NAMES[number])
            self.store.commit([SaveInputs("fc-A", (row,))])
            self.payloads.add(NAMES[number])

    def wait(self, number: int) -> None:
        self.clock.time += BLOB_GRACE_SECONDS * (number + 1) / 2

    def _commit(self, entry: object) -> None:
        self.commits += 1
        commit(self.volumes, entry, at=self.clock.now(), commit_id=f"c{self.commits}")

    def check(self) -> None:
        named = {
            chunk.sha256
            for snapshot in self.volumes.snapshots(VOLUME, 1000)
            for entry in listing(self.volumes, snapshot.version).values()
            for chunk in entry.chunks
        }
        for sha256 in named | self.payloads:
            assert self.blobs.read_many([sha256])[sha256] == CONTENTS[NAMES.index(sha256)]


@pytest.mark.parametrize("adapter", ["memory", "disk"])
@given(rounds=st.lists(st.tuples(ACTIONS, ACTIONS), min_size=1, max_size=5))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_collection_never_takes_what_is_in_use(
    adapter: str,
    rounds: list[tuple[list[tuple[str, int]], list[tuple[str, int]]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clock = SettableClock(100_000.0)
    if adapter == "memory":
        store, blobs = MemoryStore(), MemoryBlobs(clock)
    else:
        directory = tmp_path_factory.mktemp("kept")
        store, blobs = SqliteStore(directory / "offload.db"), DiskBlobs(directory / "blobs", clock)
    world = World(store, blobs, clock)
    store.commit(app_with_call())
    store.objects.apply([CreateObject(replace(an_object("data"), object_id=VOLUME))])
    retention = Retention(world, world, clock, 3 * BLOB_GRACE_SECONDS, 10**9, pause_seconds=0)
    for before, during in rounds:
        for action in before:
            world.meanwhile.append(action)
            world.act()
        world.meanwhile.extend(during)
        asyncio.run(retention.collect())
        world.check()
    store.close()
    if adapter == "disk":
        blobs.close()


def test_what_nothing_names_any_more_goes_in_the_end() -> None:
    clock = SettableClock(100_000.0)
    world = World(MemoryStore(), MemoryBlobs(clock), clock)
    world.objects.apply([CreateObject(replace(an_object("data"), object_id=VOLUME))])
    retention = Retention(world, world, clock, BLOB_GRACE_SECONDS, 10**9, pause_seconds=0)
    for number in range(4):
        world.bring(number)
        world.name(number)
        world.drop(number)
    world.name(1)

    for _ in range(6):
        clock.time += BLOB_GRACE_SECONDS
        asyncio.run(retention.collect())

    assert world.blobs.missing(NAMES) == [NAMES[0], NAMES[2], NAMES[3]]
    assert chunk_of(CONTENTS[1]).sha256 == NAMES[1]
