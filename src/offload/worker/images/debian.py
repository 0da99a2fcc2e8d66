"""How Debian is made: suites, mirrors and mmdebstrap's arguments. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.worker.images.settings import DEFAULT_DEBIAN_MIRROR

if TYPE_CHECKING:
    from collections.abc import Sequence

# Debian's releases by the version of their own Python; others are added from releases of Python.
SUITES = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie"}

# What a container never reads.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")


def deb_lines(suite: str, mirror: str, index_targets: str) -> list[str]:
    """Return the lines of a sources.list for a suite: those of the mirror, else those of this machine's apt.

    `index_targets` are lines of "SITE RELEASE COMPONENT".
    """
    if mirror:
        return [f"deb {mirror} {suite} main"]
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    found: dict[tuple[str, str], dict[str, None]] = {}
    for line in index_targets.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in wanted:
            found.setdefault((fields[0], fields[1]), {})[fields[2]] = None
    lines = [
        f"deb {site} {release} {' '.join(components)}"
        for (site, release), components in sorted(found.items(), key=lambda entry: entry[0][1])
    ]
    # A machine whose apt knows only the updates of a suite does not know the suite.
    if any(release == suite for _, release in found):
        return lines
    return [f"deb {DEFAULT_DEBIAN_MIRROR} {suite} main"]


def debootstrap_arguments(
    suite: str, target: str, packages: Sequence[str], lines: Sequence[str]
) -> tuple[str, ...]:
    """Return the command that makes a minimal Debian in an empty directory."""
    return (
        "mmdebstrap",
        # The build's namespace is one already.
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        "--skip=check/empty",
        f"--include={','.join((*packages, 'ca-certificates'))}",
        # What is being built is thrown away as a whole where the machine stops.
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        suite,
        target,
        *lines,
    )
