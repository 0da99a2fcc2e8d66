"""What every blob store must do; see `offload.control.ports.blobs.Blobs`."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.clock import SettableClock

from offload.control.blobs.disk import DiskBlobs
from offload.control.blobs.memory import MemoryBlobs
from offload.control.ports.blobs import BlobCorruptError, BlobError, BlobMissingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from offload.control.ports.blobs import Blobs

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


ADAPTERS: dict[str, Callable[[Path, SettableClock], Blobs]] = {
    "memory": lambda _, clock: MemoryBlobs(clock),
    "disk": DiskBlobs,
}


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(100.0)


@pytest.fixture(params=sorted(ADAPTERS))
def blobs(request: pytest.FixtureRequest, tmp_path: Path, clock: SettableClock) -> Blobs:
    return ADAPTERS[request.param](tmp_path / "blobs", clock)


def save(blobs: Blobs, content: bytes, expected: str = "") -> tuple[str, int]:
    writer = blobs.writer()
    for start in range(0, len(content), 1000):
        writer.write(content[start : start + 1000])
    return writer.commit(expected)


def test_a_blob_comes_back_as_it_was_written(blobs: Blobs) -> None:
    written = save(blobs, CONTENT, SHA256)

    reader = blobs.reader(SHA256, 0)

    assert written == (SHA256, len(CONTENT))
    assert reader.size_bytes == len(CONTENT)
    assert reader.read(300) == CONTENT[:300]
    assert reader.read(10**6) == CONTENT[300:]
    assert reader.read(1) == b""
    reader.close()


def load(blobs: Blobs, sha256: str, offset: int = 0) -> bytes:
    reader = blobs.reader(sha256, offset)
    content = reader.read(10**6)
    reader.close()
    return content


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    sha256, size_bytes = save(blobs, b"")

    assert size_bytes == 0
    assert load(blobs, sha256) == b""


def test_a_reader_may_begin_anywhere_within(blobs: Blobs) -> None:
    save(blobs, CONTENT)

    assert load(blobs, SHA256, 10_000) == CONTENT[10_000:]
    assert load(blobs, SHA256, len(CONTENT)) == b""
    with pytest.raises(BlobError, match="cannot be read from"):
        blobs.reader(SHA256, len(CONTENT) + 1)


def test_nothing_is_visible_before_commit(blobs: Blobs) -> None:
    writer = blobs.writer()
    writer.write(CONTENT)

    assert not blobs.has(SHA256)

    writer.commit("")
    assert blobs.has(SHA256)


def test_bytes_that_are_not_what_was_announced_are_not_kept(blobs: Blobs) -> None:
    with pytest.raises(BlobCorruptError, match=SHA256):
        save(blobs, CONTENT[:-1], SHA256)

    assert not blobs.has(SHA256)
    assert not blobs.has(hashlib.sha256(CONTENT[:-1]).hexdigest())


def test_an_aborted_blob_is_gone_and_abort_may_be_repeated(blobs: Blobs) -> None:
    writer = blobs.writer()
    writer.write(CONTENT)

    writer.abort()
    writer.abort()

    assert not blobs.has(SHA256)
    with pytest.raises(BlobError, match="finished"):
        writer.write(b"more")


def test_abort_after_commit_is_harmless(blobs: Blobs) -> None:
    writer = blobs.writer()
    writer.write(CONTENT)
    writer.commit("")

    writer.abort()

    assert load(blobs, SHA256) == CONTENT


def test_a_blob_written_twice_is_kept_once_and_stays_readable(blobs: Blobs) -> None:
    save(blobs, CONTENT)
    reader = blobs.reader(SHA256, 0)

    assert save(blobs, CONTENT) == (SHA256, len(CONTENT))

    assert reader.read(10**6) == CONTENT
    reader.close()


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", SHA256.upper(), SHA256[:-1], SHA256 + "\n"]
)
def test_what_is_no_sha256_names_no_blob(blobs: Blobs, name: str) -> None:
    save(blobs, CONTENT)

    assert not blobs.has(name)
    with pytest.raises(BlobMissingError, match="64 lower-case hex"):
        blobs.reader(name, 0)


def test_a_missing_blob_is_named(blobs: Blobs) -> None:
    with pytest.raises(BlobMissingError, match=SHA256):
        blobs.reader(SHA256, 0)


def test_a_closed_reader_may_be_closed_again(blobs: Blobs) -> None:
    save(blobs, CONTENT)
    reader = blobs.reader(SHA256, 0)
    reader.close()

    reader.close()


def test_an_old_blob_is_removed_and_can_come_back(blobs: Blobs, clock: SettableClock) -> None:
    save(blobs, CONTENT)
    clock.time = 200.0

    was_removed = blobs.remove(SHA256, older_than=150.0)

    assert was_removed
    assert not blobs.has(SHA256)
    assert not blobs.remove(SHA256, older_than=150.0)
    save(blobs, CONTENT)
    assert load(blobs, SHA256) == CONTENT


def test_a_blob_is_spared_from_the_moment_it_was_written_at(blobs: Blobs) -> None:
    save(blobs, CONTENT)

    assert not blobs.remove(SHA256, older_than=100.0)
    assert load(blobs, SHA256) == CONTENT


def test_who_asks_for_a_blob_keeps_it(blobs: Blobs, clock: SettableClock) -> None:
    save(blobs, CONTENT)
    clock.time = 200.1
    blobs.has(SHA256)

    assert not blobs.remove(SHA256, older_than=200.1)
    assert blobs.remove(SHA256, older_than=200.2)


def test_who_writes_a_blob_again_keeps_it(blobs: Blobs, clock: SettableClock) -> None:
    save(blobs, CONTENT)
    clock.time = 200.0
    save(blobs, CONTENT)

    assert not blobs.remove(SHA256, older_than=200.0)
    assert load(blobs, SHA256) == CONTENT


def test_a_reader_reads_on_after_its_blob_was_removed(blobs: Blobs) -> None:
    save(blobs, CONTENT)
    reader = blobs.reader(SHA256, 0)
    reader.read(10)

    blobs.remove(SHA256, older_than=101.0)

    assert reader.read(10**6) == CONTENT[10:]
    reader.close()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", SHA256.upper()])
def test_what_is_no_sha256_is_not_removed(blobs: Blobs, name: str) -> None:
    assert not blobs.remove(name, older_than=1000.0)


def test_old_blobs_are_listed_in_pages_without_being_touched(
    blobs: Blobs, clock: SettableClock
) -> None:
    old = sorted(save(blobs, f"old {n}".encode())[0] for n in range(300))
    clock.time = 200.0
    save(blobs, b"new")
    blobs.has(old[0])
    blobs.writer().write(b"unfinished")

    pages = [blobs.stale(150.0, "", 100)]
    while pages[-1]:
        pages.append(blobs.stale(150.0, pages[-1][-1], 100))

    assert [sha256 for page in pages for sha256 in page] == old[1:]
    assert [len(page) for page in pages] == [100, 100, 99, 0]
    assert blobs.stale(150.0, "", 1) == old[1:2]


def test_an_empty_store_lists_nothing(blobs: Blobs) -> None:
    assert blobs.stale(10.0**9, "", 10) == []


# What happens at each step of time, and to which blob.
happenings = st.lists(
    st.tuples(st.sampled_from(["write", "ask", "remove"]), st.integers(0, 2)), max_size=12
)


def test_a_blob_is_there_from_its_writing_until_it_was_left_alone_for_long(
    blobs: Blobs, clock: SettableClock
) -> None:
    @settings(max_examples=40, deadline=None)
    @given(history=happenings, grace=st.integers(0, 4))
    def check(history: list[tuple[str, int]], grace: int) -> None:
        touched: dict[str, float] = {}  # when, of those that are there
        for what, number in history:
            clock.time += 1
            content = f"blob {number}".encode()
            sha256 = hashlib.sha256(content).hexdigest()
            is_there = sha256 in touched
            if what == "write":
                save(blobs, content)
            elif what == "ask":
                assert blobs.has(sha256) == is_there
            else:
                is_old = is_there and touched[sha256] < clock.time - grace
                assert blobs.remove(sha256, clock.time - grace) == is_old
                if is_old:
                    del touched[sha256]
                continue
            if what == "write" or is_there:
                touched[sha256] = clock.time

        left = blobs.stale(clock.time + 1, "", 10)

        assert left == sorted(touched)
        assert all(blobs.remove(sha256, clock.time + 1) for sha256 in left)

    check()


def test_whoever_was_told_that_a_blob_is_there_finds_it_whatever_a_removal_does_meanwhile(
    blobs: Blobs, clock: SettableClock
) -> None:
    told: list[bool] = []
    removed: list[bool] = []

    def ask() -> None:
        told.append(blobs.has(SHA256))

    def write() -> None:
        told.append(save(blobs, CONTENT)[0] == SHA256)

    def remove() -> None:
        removed.append(blobs.remove(SHA256, older_than=150.0))

    for round_number in range(100):
        clock.time = 100.0
        save(blobs, CONTENT)
        clock.time = 200.0
        told.clear()
        together([(ask, write)[round_number % 2], remove, remove])

        if any(told):
            assert load(blobs, SHA256) == CONTENT
        blobs.remove(SHA256, older_than=300.0)

    assert len(removed) == 200


def together(actions: list[Callable[[], None]]) -> None:
    """Do these at once, each in a thread of its own."""
    line = threading.Barrier(len(actions))

    def begin(action: Callable[[], None]) -> None:
        line.wait()
        action()

    threads = [threading.Thread(target=begin, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def named(*contents: bytes) -> dict[str, bytes]:
    return {hashlib.sha256(content).hexdigest(): content for content in contents}


def test_many_blobs_of_any_size_come_and_go_together(blobs: Blobs, clock: SettableClock) -> None:
    many = named(b"", b"small", b"x" * 65_536, b"y" * 65_537, CONTENT * 30)

    blobs.write_many(many)
    blobs.write_many(many)

    assert blobs.read_many(list(many)) == many
    for sha256, content in many.items():
        assert load(blobs, sha256) == content
        assert load(blobs, sha256, len(content) // 2) == content[len(content) // 2 :]
    assert blobs.missing([*many, SHA256]) == [SHA256]
    assert blobs.stale(101.0, "", 10) == sorted(many)
    clock.time = 200.0
    assert blobs.missing(list(many)[:2]) == []
    assert blobs.stale(101.0, "", 10) == sorted(list(many)[2:])
    assert blobs.remove(list(many)[2], 101.0)
    assert not blobs.remove(list(many)[1], 101.0)
    with pytest.raises(BlobMissingError):
        blobs.read_many(list(many))


def test_of_many_blobs_none_is_kept_where_one_is_not_what_its_name_says(blobs: Blobs) -> None:
    good, (wrong,) = named(b"good"), named(b"what was meant")

    with pytest.raises(BlobCorruptError, match="upload it again"):
        blobs.write_many({**good, wrong: b"what came"})

    assert blobs.missing([*good, wrong]) == [*good, wrong]


def test_a_pack_that_nobody_put_down_is_not_adopted(blobs: Blobs) -> None:
    for pack in ("0" * 32, "", "../index.db", "/etc/passwd"):
        with pytest.raises(BlobMissingError, match="upload its blobs"):
            blobs.adopt(pack, [len(CONTENT)])

    assert not blobs.has(SHA256)


def test_a_client_of_another_machine_is_offered_no_folder(blobs: Blobs) -> None:
    assert blobs.landing("another machine") == ""
    assert blobs.landing("") == ""
