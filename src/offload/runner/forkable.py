"""Whether a process that has loaded a function can be forked, and what its children must not have in common."""

from __future__ import annotations

import os
import sys

# They start their threads again after a fork (pthread_atfork, or a look at the process's number).
_RESTARTING = ("libomp", "libiomp")
# Nothing tells it of a fork: a child would wait for ever for threads that it does not have.
_GNU_OPENMP = "libgomp"
_OMP_PAUSE_SOFT = 1
_PF_EXITING = 0x4  # among the flags of proc(5)'s stat

_HARMLESS = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")


def why_not_forkable(own_fds: set[int], done: str = "importing it") -> str:
    """End the threads that native pools start again, and say what else no fork would have; empty where nothing.

    `done` names the code that may have started it. Only the thread that forks may ask: a pool of OpenMP belongs to the thread
    that used it.
    """
    threads = sys.modules.get("threading")
    names = [
        thread.name
        for thread in (threads.enumerate() if threads is not None else ())
        if thread is not threads.main_thread()  # type: ignore[union-attr]  # then there are none
    ]
    if names:
        return f"{done} started the thread {names[0]!r}"
    reason = _why_threads_stay(done)
    if reason:
        return reason
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib is slow to import
        try:
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - see above
        except OSError:  # the listing's own
            continue
        if int(name) not in own_fds and target not in _HARMLESS:
            return f"{done} left {target} open"
    return ""


def _why_threads_stay(done: str) -> str:
    if not _native_threads():
        return ""
    libraries = _libraries()
    endless = [path for path in libraries if _is_of(path, _GNU_OPENMP) and not _ends_pool(path)]
    _fork_once()
    native = _native_threads()
    if native and endless:
        name = os.path.basename(endless[0])  # noqa: PTH119 - see above
        return f"{done} used threads, and {name} cannot end its own before a fork (GNU's OpenMP can since GCC 9)"
    if native and not any(_is_of(path, *_RESTARTING) for path in libraries):
        return f"{done} started {native} threads that are not Python's"
    return ""


def _ends_pool(path: str) -> bool:
    """Have this copy of GNU's OpenMP join this thread's pool, which begins anew with the next parallel region."""
    import ctypes  # noqa: PLC0415 - most templates have no use for it

    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
        return bool(library.omp_pause_resource_all(_OMP_PAUSE_SOFT) == 0)
    except (OSError, AttributeError):  # it was replaced on disk, or is too old
        return False


def _fork_once() -> None:
    """Have those end their threads that do so before each fork (OpenBLAS); what then remains is nobody's who is known.

    Not `os.fork`, which runs what user code has registered with Python.
    """
    import ctypes  # noqa: PLC0415 - see above

    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        os._exit(0)
    if pid > 0:
        os.waitpid(pid, 0)


def _native_threads() -> int:
    """Count the threads beside this one, but for those that are ending: the kernel lists a thread a moment longer than it runs."""
    count = -1
    for name in os.listdir("/proc/self/task"):  # noqa: PTH208 - see above
        try:
            with open(f"/proc/self/task/{name}/stat") as stat:  # noqa: PTH123 - see above
                flags = int(stat.read().rpartition(")")[2].split()[6])
        except OSError:  # it has ended
            continue
        count += not flags & _PF_EXITING
    return count


def _libraries() -> set[str]:
    with open("/proc/self/maps") as maps:  # noqa: PTH123 - see above
        lines = (line.rstrip("\n").split(None, 5) for line in maps)
        return {fields[5] for fields in lines if len(fields) > 5}


def _is_of(path: str, *names: str) -> bool:
    return os.path.basename(path).startswith(names)  # noqa: PTH119 - see above


def reseed() -> None:
    """Give this process randomness of its own. `random` does it by itself, and so does OpenSSL."""
    for name in ("numpy.random.mtrand", "numpy.random._mtrand"):
        module = sys.modules.get(name)
        if module is not None:
            module.seed()
            return
