"""Whether a process that has loaded a function can be forked, and what its children must not have in common."""

from __future__ import annotations

import os
import sys

# Their threads survive a fork: handlers of theirs (pthread_atfork, or a look at the process's number) start new ones.
_POOLS = ("openblas", "libgomp", "libomp", "libiomp", "mkl_")

_HARMLESS = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")


def why_not_forkable(own_fds: set[int], done: str = "importing it") -> str:
    """Say what has been started that no fork would have; empty where nothing. `done` names the code that may have."""
    threads = sys.modules.get("threading")
    names = [
        thread.name
        for thread in (threads.enumerate() if threads is not None else ())
        if thread is not threads.main_thread()  # type: ignore[union-attr]  # then there are none
    ]
    if names:
        return f"{done} started the thread {names[0]!r}"
    native = len(os.listdir("/proc/self/task")) - 1  # noqa: PTH208 - pathlib is slow to import
    if native and not _has_known_pool():
        return f"{done} started {native} threads that are not Python's"
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - see above
        try:
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - see above
        except OSError:  # the listing's own
            continue
        if int(name) not in own_fds and target not in _HARMLESS:
            return f"{done} left {target} open"
    return ""


def _has_known_pool() -> bool:
    with open("/proc/self/maps") as maps:  # noqa: PTH123 - see above
        return any(pool in line for line in maps for pool in _POOLS)


def reseed() -> None:
    """Give this process randomness of its own. `random` does it by itself, and so does OpenSSL."""
    for name in ("numpy.random.mtrand", "numpy.random._mtrand"):
        module = sys.modules.get(name)
        if module is not None:
            module.seed()
            return
