"""The first code that runs in a container: sets its limits, then becomes the runner.

Started as `python -I -S boot.py GUEST_ROOT SOCKET_FD STDERR_FD LIMIT=VALUE … [FORKS=FD]` (see `offload.worker.sandbox.guest.boot_order`)
so that nothing of the user's environment (`sitecustomize`, `.pth` files) runs before the limits hold. Must stay valid on
CPython 3.9 and import nothing that is not in the standard library.

Every container pays for what this and `offload.runner.main` import before the runner says hello, and compiles this file
each time. So the order is words and not JSON; `tests/unit/runner/test_start.py` holds the list of modules.
"""

import os
import resource
import sys


def set_limit(name: str, value: int) -> None:
    """Set one limit for good, never above what the machine allows."""
    which = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def boot(order: list[str]) -> int:
    """Obey the worker's `order` and run the runner to its end."""
    guest_root, socket_fd, stderr_fd, *limits = order
    forks_fd = limits.pop().partition("=")[2] if limits[-1].startswith("FORKS=") else ""
    for limit in limits:
        name, _, value = limit.partition("=")
        set_limit(name, int(value))
    # Until here descriptor 2 was the runtime's own: what went wrong before user code is the runtime's to tell.
    os.dup2(int(stderr_fd), 2)
    os.close(int(stderr_fd))
    os.set_inheritable(int(socket_fd), False)
    sys.path.insert(0, guest_root)
    if forks_fd:
        from offload.runner.template import main as be_template  # noqa: PLC0415 - see below

        return be_template(int(socket_fd), int(forks_fd))
    from offload.runner.main import main  # noqa: PLC0415 - found only through the path set above

    return main(int(socket_fd))


if __name__ == "__main__":
    sys.exit(boot(sys.argv[1:]))
