"""What every store must do with the trees of volumes; see `offload.control.ports.volumes.VolumeStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.objects import an_object
from tests.support.trees import VOLUME, chunk_of, commit, file, folder, link, listing

from offload.control.core.errors import DomainError
from offload.control.core.trees import Changes
from offload.control.ports.objects import CreateObject, DeleteObjects
from offload.control.ports.volumes import TreeCommit, Version
from offload.control.stores.memory import MemoryStore
from offload.control.stores.sqlite import SqliteStore
from offload.wire.trees import Kind

if TYPE_CHECKING:
    from offload.control.ports.store import Store
    from offload.control.ports.volumes import VolumeStore


@pytest.fixture
def trees(store: Store) -> VolumeStore:
    return store.volumes


def test_a_new_volume_is_empty(trees: VolumeStore) -> None:
    assert trees.newest(VOLUME) == 0
    assert trees.entries(VOLUME, 0, "", "", 10, shallow=False) == []
    assert trees.snapshots(VOLUME, 10) == []


def test_a_commit_is_a_version_with_the_folders_above_its_files(trees: VolumeStore) -> None:
    made = commit(trees, file("a/b/c.txt", b"one"))

    found = listing(trees)

    assert made == Version(1, is_new=True)
    assert list(found) == ["a", "a/b", "a/b/c.txt"]
    assert found["a"].kind is Kind.DIRECTORY
    assert found["a/b/c.txt"] == file("a/b/c.txt", b"one")


def test_the_last_writer_wins_for_each_file_alone(trees: VolumeStore) -> None:
    commit(trees, file("mine", b"1"), file("shared", b"1"))
    commit(trees, file("theirs", b"2"), file("shared", b"2"))

    commit(trees, file("mine", b"3"))

    found = listing(trees)
    assert {path: found[path] for path in ("mine", "shared", "theirs")} == {
        "mine": file("mine", b"3"),
        "shared": file("shared", b"2"),
        "theirs": file("theirs", b"2"),
    }


def test_a_repeated_commit_changes_nothing_and_is_answered_as_before(trees: VolumeStore) -> None:
    commit(trees, file("a", b"1"), commit_id="once")
    commit(trees, file("a", b"2"))

    repeated = commit(trees, file("a", b"1"), commit_id="once")

    assert repeated == Version(1, is_new=False)
    assert listing(trees)["a"] == file("a", b"2")


def test_a_commit_that_changes_nothing_makes_no_version(trees: VolumeStore) -> None:
    commit(trees, file("a", b"1"))

    assert commit(trees, file("a", b"1"), at=2.0) == Version(1, is_new=False)
    assert [snapshot.version for snapshot in trees.snapshots(VOLUME, 10)] == [1]


def test_every_version_can_be_read_as_it_was(trees: VolumeStore) -> None:
    commit(trees, file("a", b"1"), file("b", b"1"))
    commit(trees, file("a", b"22"), removes=("b",))

    assert list(listing(trees, 1).values()) == [file("a", b"1"), file("b", b"1")]
    assert list(listing(trees, 2).values()) == [file("a", b"22")]
    assert [(s.version, s.files, s.size_bytes) for s in trees.snapshots(VOLUME, 10)] == [
        (2, 1, 2),
        (1, 2, 2),
    ]
    assert trees.entries(VOLUME, 3, "", "", 10, shallow=False) is None


def test_a_restored_version_is_the_newest(trees: VolumeStore) -> None:
    commit(trees, file("a", b"1"), folder("empty"))
    commit(trees, file("a", b"2"), file("new", b"2"), remove_trees=("empty",))

    again = TreeCommit(VOLUME, "r", "restore", 5.0, Changes())
    made = trees.restore(again, 1)

    assert made == Version(3, is_new=True)
    assert listing(trees) == listing(trees, 1)
    assert trees.restore(again, 2) == Version(3, is_new=False)
    assert trees.restore(TreeCommit(VOLUME, "s", "", 6.0, Changes()), 9) is None


def test_a_folder_that_somebody_else_put_something_into_stays(trees: VolumeStore) -> None:
    commit(trees, file("d/mine"), file("e/mine"))
    commit(trees, file("d/theirs"))

    commit(trees, removes=("d/mine", "d", "e", "e/mine", "never was"))

    assert list(listing(trees)) == ["d", "d/theirs"]


def test_a_file_takes_the_place_of_a_folder_and_a_folder_that_of_a_file(
    trees: VolumeStore,
) -> None:
    commit(trees, file("x/deep/one"), file("y"), file("x2"))

    commit(trees, file("x", b"now"), file("y/below"))

    found = listing(trees)
    assert list(found) == ["x", "x2", "y", "y/below"]
    assert (found["x"].kind, found["y"].kind) == (Kind.FILE, Kind.DIRECTORY)


def test_copies_and_renames_take_what_stood_there_before(trees: VolumeStore) -> None:
    commit(trees, file("a/one", b"1"), file("a/two", b"2"), link("a/l", "one"), file("ab"))

    commit(trees, copies=(("a", "c/d"),))
    commit(trees, renames=(("a", "z"),))

    names = list(listing(trees))
    assert names == [
        "ab", "c", "c/d", "c/d/l", "c/d/one", "c/d/two", "z", "z/l", "z/one", "z/two",
    ]  # fmt: skip
    for changes in ({"copies": (("gone", "b"),)}, {"renames": (("gone", "b"),)}):
        with pytest.raises(DomainError, match=r"no 'gone' in the volume"):
            commit(trees, **changes)  # type: ignore[arg-type]
    with pytest.raises(DomainError, match="no 'gone'"):
        commit(trees, remove_trees=("gone",))


def test_a_refused_commit_leaves_the_tree_as_it_was(trees: VolumeStore) -> None:
    commit(trees, file("a", b"1"))

    with pytest.raises(DomainError):
        commit(trees, file("b", b"1"), remove_trees=("gone",))

    assert trees.newest(VOLUME) == 1
    assert list(listing(trees)) == ["a"]


def test_entries_come_in_pages_below_a_path_or_directly_in_it(trees: VolumeStore) -> None:
    commit(trees, *(file(path) for path in ("a/b/c", "a/d", "a!", "a0", "b")))

    def read(path: str, after: str = "", limit: int = 10, *, shallow: bool = False) -> list[str]:
        found = trees.entries(VOLUME, 1, path, after, limit, shallow=shallow)
        assert found is not None
        return [entry.path for entry in found]

    assert read("") == ["a", "a!", "a/b", "a/b/c", "a/d", "a0", "b"]
    assert read("", after="a/b", limit=2) == ["a/b/c", "a/d"]
    assert read("a") == ["a", "a/b", "a/b/c", "a/d"]
    assert read("a", after="a/b") == ["a/b/c", "a/d"]
    assert read("", shallow=True) == ["a", "a!", "a0", "b"]
    assert read("a", shallow=True) == ["a/b", "a/d"]


def test_chunks_are_in_use_while_a_kept_version_names_them(
    store: Store, trees: VolumeStore
) -> None:
    old, new = chunk_of(b"old").sha256, chunk_of(b"new").sha256
    commit(trees, file("a", b"old"), at=1.0)
    commit(trees, file("a", b"new"), at=10.0)

    kept = trees.prune(5.0, 100)
    assert store.blobs_in_use([old, new]) == {old, new}
    assert kept.rows == 0

    gone = trees.prune(20.0, 100)
    assert store.blobs_in_use([old, new]) == {new}
    assert gone.blobs == (old,)
    assert trees.prune(20.0, 100).rows == 0
    assert trees.entries(VOLUME, 1, "", "", 10, shallow=False) is None
    assert [snapshot.version for snapshot in trees.snapshots(VOLUME, 10)] == [2]


def test_a_forgotten_volume_is_empty_and_its_chunks_go(store: Store, trees: VolumeStore) -> None:
    chunk = chunk_of(b"x").sha256
    commit(trees, file("a", b"x"))
    commit(trees, file("a", b"y"), volume_id="vo-2")

    trees.forget([VOLUME, "vo-unknown"])
    freed: set[str] = set()
    while (done := trees.prune(0.0, 1)).rows:
        freed.update(done.blobs)

    assert trees.newest(VOLUME) == 0
    assert freed == {chunk}
    assert not store.blobs_in_use([chunk])
    assert list(listing(trees, volume_id="vo-2")) == ["a"]


NAMES = st.sampled_from(["a", "b", "a/x", "a/y", "a/x/1", "b/x"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, st.sampled_from([b"1", b"2"])),
        st.tuples(st.just("folder"), NAMES, st.just(b"")),
        st.tuples(st.just("remove"), NAMES, st.just(b"")),
        st.tuples(st.just("tree"), NAMES, st.just(b"")),
        st.tuples(st.just("rename"), NAMES, st.just(b"")),
    ),
    min_size=1,
    max_size=12,
)


@given(steps=STEPS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_sqlite_keeps_the_same_trees_as_memory(
    steps: list[tuple[str, str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    memory = MemoryStore().volumes
    store = SqliteStore(tmp_path_factory.mktemp("trees") / "offload.db")
    for number, (kind, path, content) in enumerate(steps):
        answers = [_try(trees, kind, path, content, number) for trees in (memory, store.volumes)]
        assert answers[0] == answers[1]

    for version in range(memory.newest(VOLUME) + 1):
        found = listing(memory, version)
        assert listing(store.volumes, version) == found
        # No entry stands below anything but a folder.
        for name in found:
            above = name.rpartition("/")[0]
            assert not above or found[above].kind is Kind.DIRECTORY
    assert memory.snapshots(VOLUME, 99) == store.volumes.snapshots(VOLUME, 99)
    store.close()


def _try(trees: VolumeStore, kind: str, path: str, content: bytes, number: int) -> object:
    try:
        if kind == "put":
            return commit(trees, file(path, content), commit_id=f"c{number}")
        if kind == "folder":
            return commit(trees, folder(path), commit_id=f"c{number}")
        if kind == "remove":
            return commit(trees, removes=(path,), commit_id=f"c{number}")
        if kind == "rename":
            return commit(trees, renames=((path, "moved"),), commit_id=f"c{number}")
        return commit(trees, remove_trees=(path,), commit_id=f"c{number}")
    except DomainError as error:
        return error.message


def test_a_volume_without_its_object_is_an_orphan_until_it_is_forgotten(store: Store) -> None:
    made = an_object("data")
    store.objects.apply([CreateObject(made)])
    commit(store.volumes, file("a", b"x"), volume_id=made.object_id)
    commit(store.volumes, file("a", b"x"), volume_id="vo-gone")

    assert store.volumes.orphans(10) == ["vo-gone"]

    store.volumes.forget(["vo-gone"])
    store.objects.apply([DeleteObjects((made.object_id,))])
    assert store.volumes.orphans(10) == [made.object_id]
