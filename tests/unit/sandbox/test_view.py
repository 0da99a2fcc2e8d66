"""Which paths of the host a container is shown."""

from __future__ import annotations

import pytest

from offload.worker.sandbox.view import (
    HostFacts,
    HostPath,
    RefusedPathError,
    Shown,
    image_paths,
    is_visible,
)

FACTS = HostFacts(
    data_dir="/home/ann/.local/share/offload",
    hidden=(HostPath("/home", "/var/home"), HostPath("/tmp", "/tmp"), HostPath("/run", "/run")),  # noqa: S108
    masked_files=(),
    masked_dirs=(),
    always_shown=(),
)


def path(named: str, real: str = "") -> HostPath:
    return HostPath(named, real or named)


def test_a_path_that_is_visible_anyway_needs_no_bind() -> None:
    assert image_paths(FACTS, [path("/opt/python")]) == ()


def test_a_path_below_a_hidden_directory_is_shown_at_its_place() -> None:
    assert image_paths(FACTS, [path("/tmp/work")]) == (Shown("/tmp/work", "/tmp/work"),)  # noqa: S108


def test_a_link_below_a_hidden_directory_is_shown_under_both_names() -> None:
    shown = image_paths(FACTS, [path("/tmp/link", "/var/home/ann/work")])  # noqa: S108

    assert shown == (
        Shown("/var/home/ann/work", "/tmp/link"),  # noqa: S108
        Shown("/var/home/ann/work", "/var/home/ann/work"),
    )


def test_a_hidden_directory_that_is_itself_a_link_is_followed() -> None:
    shown = image_paths(FACTS, [path("/home/ann/work", "/var/home/ann/work")])

    assert shown == (Shown("/var/home/ann/work", "/var/home/ann/work"),)


def test_parents_come_before_their_children() -> None:
    shown = image_paths(FACTS, [path("/tmp/a/b"), path("/tmp/a")])  # noqa: S108

    assert [bind.target for bind in shown] == ["/tmp/a", "/tmp/a/b"]  # noqa: S108


def test_a_script_directly_in_a_hidden_directory_does_not_open_it() -> None:
    assert image_paths(FACTS, [path("/tmp")]) == ()  # noqa: S108


@pytest.mark.parametrize(
    "refused",
    [
        "/",
        "/home/ann/.local/share/offload",
        "/home/ann/.local/share/offload/blobs",
        "/home/ann/.local",
        "/proc/1",
        "/sys/kernel",
        "/dev/shm",  # noqa: S108
        "/run/user",
    ],
)
def test_the_platforms_and_the_kernels_paths_are_refused(refused: str) -> None:
    with pytest.raises(RefusedPathError):
        image_paths(FACTS, [path(refused)])


def test_a_link_does_not_lead_around_a_refusal() -> None:
    with pytest.raises(RefusedPathError):
        image_paths(FACTS, [path("/opt/link", "/home/ann/.local/share/offload")])


def test_a_hidden_path_is_visible_only_when_it_is_shown() -> None:
    shown = (Shown("/var/home/ann/work", "/var/home/ann/work"),)

    assert is_visible(FACTS, "/home/ann/work/src", shown)
    assert is_visible(FACTS, "/opt", shown)
    assert not is_visible(FACTS, "/home/ann", shown)


@pytest.mark.parametrize("own", ["/dev/shm/work", "/proc/1", "/run/user/1000"])  # noqa: S108
def test_what_every_container_has_of_its_own_is_not_the_hosts(own: str) -> None:
    assert not is_visible(FACTS, own, ())
