"""The first code that runs in a container: sets its limits, then becomes the runner.

Started as `python -I -S boot.py JSON` so that nothing of the user's environment (`sitecustomize`, `.pth` files) runs
before the limits hold. Must stay valid on CPython 3.9 and import nothing that is not in the standard library.
"""

from __future__ import annotations

import json
import os
import resource
import sys


def _limit(name: str, value: int) -> None:
    """Set one limit for good, never above what the machine allows."""
    which = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def boot(order: dict[str, object]) -> int:
    """Obey the worker's `order` (see `offload.worker.sandbox.guest.boot_order`) and run the runner to its end."""
    socket_fd, stderr_fd, limits = order["socket_fd"], order["stderr_fd"], order["limits"]
    if not (isinstance(socket_fd, int) and isinstance(stderr_fd, int) and isinstance(limits, dict)):
        raise TypeError("boot order of another version")
    for name, value in limits.items():
        _limit(name, value)
    # Until here descriptor 2 was the runtime's own: what went wrong before user code is the runtime's to tell.
    os.dup2(stderr_fd, 2)
    os.close(stderr_fd)
    os.set_inheritable(socket_fd, False)
    sys.path.insert(0, str(order["guest_root"]))
    from offload.runner.main import main  # noqa: PLC0415 - found only through the path set above

    return main(socket_fd)


if __name__ == "__main__":
    sys.exit(boot(json.loads(sys.argv[1])))
