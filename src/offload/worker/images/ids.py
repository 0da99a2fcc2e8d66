"""Which users a build may have: a range of ids that no account of the host has."""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNT = 65536
_FIRST_SUBORDINATE = 100_000
# The last range before those that systemd hands to containers of its own ends; no account is ever given these.
_ROOTS_BASE = 0x6FFF0000

Range = tuple[int, int, int]  # first inside, first outside, how many


@dataclass(frozen=True, slots=True)
class IdMap:
    """How ids inside a build correspond to the host's; see `namespace_process`."""

    kind: str  # "root", "subordinate" or "single"
    uids: tuple[Range, ...]
    gids: tuple[Range, ...]
    why_single: str = ""  # what is missing for more, and how to get it

    @property
    def owner(self) -> int:
        """The host's uid of the build's root."""
        return self.uids[0][1]


def find_id_map() -> IdMap:
    """Look at what this process's user may map."""
    if os.getuid() == 0:
        whole = ((0, _ROOTS_BASE, _COUNT),)
        return IdMap("root", whole, whole)
    uid, gid = os.getuid(), os.getgid()
    why = _why_single(uid)
    if why:
        return IdMap("single", ((0, uid, 1),), ((0, gid, 1),), why)
    return IdMap(
        "subordinate",
        ((0, uid, 1), *_shifted(read_subordinate(Path("/etc/subuid"), _names(uid)))),
        ((0, gid, 1), *_shifted(read_subordinate(Path("/etc/subgid"), _names(uid)))),
    )


def _why_single(uid: int) -> str:
    name = _names(uid)[0]
    missing = [program for program in ("newuidmap", "newgidmap") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: let root run `apt install uidmap`"
    for file in ("/etc/subuid", "/etc/subgid"):
        if not read_subordinate(Path(file), _names(uid)):
            first = first_free(Path(file))
            ids = f"{first}-{first + _COUNT - 1}"
            return (
                f"{name} has no subordinate ids in {file}: let root run "
                f"`usermod --add-subuids {ids} --add-subgids {ids} {name}`"
            )
    return ""


def _names(uid: int) -> tuple[str, ...]:
    try:
        return (pwd.getpwuid(uid).pw_name, str(uid))
    except KeyError:
        return (str(uid),)


def read_subordinate(file: Path, names: Sequence[str]) -> list[tuple[int, int]]:
    """Return the ranges (first, how many) that a file like /etc/subuid gives to a user."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return []
    ranges = []
    for line in lines:
        fields = line.split(":")
        if (
            len(fields) == 3
            and fields[0] in names
            and fields[1].isdecimal()
            and fields[2].isdecimal()
        ):
            ranges.append((int(fields[1]), int(fields[2])))
    return ranges


def first_free(file: Path) -> int:
    """Return the first id behind all ranges of a file like /etc/subuid."""
    try:
        fields = [line.split(":") for line in file.read_text().splitlines()]
        return max([_FIRST_SUBORDINATE, *(int(f[1]) + int(f[2]) for f in fields if len(f) == 3)])
    except (OSError, ValueError):
        return _FIRST_SUBORDINATE


def _shifted(ranges: list[tuple[int, int]]) -> tuple[Range, ...]:
    """Lay the ranges side by side from 1 on, as far as 16 bits go: that is all Debian's own accounts need."""
    shifted, inside = [], 1
    for first, count in ranges:
        fitting = min(count, _COUNT - inside)
        if fitting > 0:
            shifted.append((inside, first, fitting))
            inside += fitting
    return tuple(shifted)
