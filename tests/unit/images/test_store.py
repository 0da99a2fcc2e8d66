import os
import shutil

import pytest

from offload.worker.core.images import ImageState
from offload.worker.images.store import LayerStore, disk_usage

OWNER = os.getuid()
FILE_BYTES = 64 * 1024


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path / "images", 10**9, OWNER)


def put(store, layer, digest=None, below=()):
    making = store.make()
    (making.fs / "file").write_bytes(os.urandom(FILE_BYTES))
    store.keep(making, layer)
    state = ImageState((*below, layer), label=f"made {layer}")
    if digest:
        store.record(digest, state)
    return state


def age(store, layer, seconds):
    os.utime(store.directory / "layers" / layer / "size", (seconds, seconds))


def test_what_was_made_is_found_by_its_name(store):
    state = put(store, "one", "d1")

    assert store.state_of("d1") == state
    assert (store.files_of("one") / "file").stat().st_size == FILE_BYTES
    assert store.state_of("d2") is None


def test_another_process_finds_it_too(store, tmp_path):
    put(store, "one", "d1")

    assert LayerStore(tmp_path / "images", 10**9, OWNER).state_of("d1") is not None


def test_the_first_of_two_that_made_the_same_is_kept(store):
    first, second = store.make(), store.make()
    (first.fs / "who").write_text("first")
    (second.fs / "who").write_text("second")

    store.keep(first, "one")
    store.keep(second, "one")

    assert (store.files_of("one") / "who").read_text() == "first"
    assert list((store.directory / "making").iterdir()) == []


def test_a_layer_holds_nothing_of_its_making(store):
    making = store.make(is_linked=True)
    (making.directory / "order.json").write_text("{}")
    (making.work / "work").mkdir()

    store.keep(making, "one")

    assert sorted(path.name for path in (store.directory / "layers" / "one").iterdir()) == [
        "fs",
        "size",
    ]


def test_what_was_dropped_leaves_nothing(store):
    making = store.make()

    store.drop(making)

    assert list((store.directory / "making").iterdir()) == []


def test_what_somebody_is_making_is_not_abandoned(store, tmp_path):
    making = store.make()

    LayerStore(tmp_path / "images", 10**9, OWNER)

    assert making.fs.is_dir()


def test_what_a_dead_process_was_making_is_cleared_away(store, tmp_path):
    making = store.make()
    making.unlock()  # as the kernel does when its process ends

    LayerStore(tmp_path / "images", 10**9, OWNER)

    assert not making.directory.exists()


def test_the_least_recently_used_layers_go_first(tmp_path):
    store = LayerStore(tmp_path / "images", 2 * FILE_BYTES + 20_000, OWNER)
    for number, layer in enumerate(("old", "middle", "new")):
        put(store, layer, f"d-{layer}")
        age(store, layer, 1000 + number)
    store.state_of("d-old")  # used just now

    store.make_room()

    assert [store.has_layer(layer) for layer in ("old", "middle", "new")] == [True, False, True]
    assert store.state_of("d-middle") is None
    assert store.used_bytes <= 2 * FILE_BYTES + 20_000


def test_a_layer_in_use_stays_whatever_room_there_is(store):
    put(store, "used", "d1")
    put(store, "idle", "d2")
    hold = store.hold(["used"])

    store.prune()

    assert hold is not None
    assert store.has_layer("used")
    assert not store.has_layer("idle")
    hold.release()
    assert store.prune() > 0
    assert not store.has_layer("used")


def test_a_chain_with_a_layer_missing_is_none(store):
    put(store, "low")
    put(store, "high", "d1", below=("low",))

    shutil.rmtree(store.directory / "layers" / "low")

    assert store.state_of("d1") is None
    assert store.hold(["low", "high"]) is None


def test_only_one_builds_a_step_at_a_time(store, tmp_path):
    other = LayerStore(tmp_path / "images", 10**9, OWNER)

    with store.trying_lock("d1") as is_first, other.trying_lock("d1") as is_second:
        assert (is_first, is_second) == (True, False)
    with other.trying_lock("d1") as is_third:
        assert is_third


def test_a_damaged_record_is_as_none(store):
    put(store, "one", "d1")
    (store.directory / "steps" / "d1.json").write_text("{")

    assert store.state_of("d1") is None
    assert store.steps() == []


def test_what_was_fetched_is_bounded_too(tmp_path):
    store = LayerStore(tmp_path / "images", 10_000, OWNER)
    (store.shared / "uv").mkdir()
    (store.shared / "uv" / "wheel").write_bytes(bytes(50_000))
    making = store.make(is_linked=True)

    assert store.trim_shared() == 0  # a build may be using it
    store.drop(making)
    assert store.trim_shared() > 0
    assert not (store.shared / "uv").exists()


def test_a_file_with_two_names_takes_its_room_once(tmp_path):
    (tmp_path / "a").write_bytes(bytes(FILE_BYTES))
    before = disk_usage(tmp_path)

    os.link(tmp_path / "a", tmp_path / "b")

    assert disk_usage(tmp_path) == before
