"""Which names may stand in a volume."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.wire.trees import (
    BadNameError,
    Chunk,
    Entry,
    Kind,
    check_entry,
    check_path,
    check_target,
    clean_path,
    pack_chunks,
)


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "..", "../a", "a/../b", "a/..", "a//b", "a/", ".", "./a", "a/./b", "a\0b",
     "x" * 256, "/".join("x" * 250 for _ in range(20)), "\udcff"],
)  # fmt: skip
def test_a_name_that_leaves_the_volume_or_is_no_name_is_refused(path: str) -> None:
    with pytest.raises(BadNameError):
        check_path(path)


@pytest.mark.parametrize("path", ["a", "a/b.txt", "..a", "a..", "...", "ä/ö", " ", "a\nb"])
def test_every_other_name_may_stand_in_a_volume(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("written", "meant"), [("/a/b/", "a/b"), ("", ""), ("/", ""), (".", ""), ("./a", "a")]
)
def test_people_may_write_a_path_their_way(written: str, meant: str) -> None:
    assert clean_path(written) == meant


@pytest.mark.parametrize("written", ["../a", "a/../..", "/../etc"])
def test_no_way_of_writing_a_path_leaves_the_volume(written: str) -> None:
    with pytest.raises(BadNameError):
        clean_path(written)


@pytest.mark.parametrize(
    ("path", "target"),
    [("l", "/etc/passwd"), ("l", ".."), ("a/l", "../../x"), ("a/l", "b/../.."), ("l", ""),
     ("a/l", "b/../c"), ("l", "a\0b")],
)  # fmt: skip
def test_a_symlink_that_could_lead_out_is_refused(path: str, target: str) -> None:
    with pytest.raises(BadNameError, match="leads out of the volume"):
        check_target(path, target)


@pytest.mark.parametrize(
    ("path", "target"), [("l", "a"), ("a/l", "../b"), ("a/b/l", "../../c/d"), ("l", "./a")]
)
def test_a_symlink_that_stays_inside_is_kept(path: str, target: str) -> None:
    check_target(path, target)


PARTS = st.lists(st.sampled_from(["a", "b", "..", ".", "c"]), min_size=1, max_size=6)


@given(st.dictionaries(PARTS.map("/".join), PARTS.map("/".join), max_size=6))
def test_no_chain_of_accepted_symlinks_leads_out(wanted: dict[str, str]) -> None:
    links: dict[str, str] = {}
    for path, target in wanted.items():
        try:
            check_entry(Entry(path, Kind.SYMLINK, 0o777, 0, 0, target.encode()))
        except BadNameError:
            continue
        # As in a tree: what is above an entry is a folder, never a symlink.
        if not any(path.startswith(other + "/") or other.startswith(path + "/") for other in links):
            links[path] = target

    for path in links:
        assert follow(links, path, 12) is not None


def follow(links: dict[str, str], path: str, steps: int) -> str | None:
    """Walk a path as the kernel does; None where it leaves the root."""
    place: list[str] = []
    left = path.split("/")
    while left and steps:
        name = left.pop(0)
        if name == "..":
            if not place:
                return None
            place.pop()
        elif name != ".":
            place.append(name)
            target = links.get("/".join(place))
            if target is not None:
                steps -= 1
                place.pop()
                left = target.split("/") + left
    return posixpath.join(*place) if place else ""


def test_chunks_must_add_up_to_the_size_of_their_file() -> None:
    content = pack_chunks([Chunk(b"x" * 32, 5), Chunk(b"y" * 32, 3)])

    check_entry(Entry("a", Kind.FILE, 0o644, 0, 8, content))

    for size_bytes, wrong in ((9, content), (8, content[:-1])):
        with pytest.raises(BadNameError):
            check_entry(Entry("a", Kind.FILE, 0o644, 0, size_bytes, wrong))


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1777, -1])
def test_no_bit_beyond_permissions_comes_in(mode: int) -> None:
    with pytest.raises(BadNameError):
        check_entry(Entry("a", Kind.DIRECTORY, mode))
