"""Opening a console in a sandbox that a ground has made."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from offload.worker.ports import ConsoleRefusedError, ContainerStartError
from offload.worker.runtimes.ground import Entry
from offload.worker.sandbox.guest import (
    CONTAINER_HOME,
    GUEST_ROOT,
    USER_ID,
    Enforced,
    console_command,
    guest_environment,
)

if TYPE_CHECKING:
    from offload.worker.ports import ContainerSpec
    from offload.worker.runtimes.cgroups import ContainerCgroup
    from offload.worker.runtimes.ground import Ground


def console_entry(enforced: Enforced, calls: bytes | None, spec: ContainerSpec) -> Entry:
    """Return what a console is in a container of bubblewrap: as the guest in all that holds it."""
    return Entry(
        console_command(spec, GUEST_ROOT, enforced),
        guest_environment(spec, CONTAINER_HOME),
        USER_ID,
        calls or b"",
    )


async def open_console(
    ground: Ground, entry: Entry, first: int | None, cgroup: ContainerCgroup | None
) -> socket.socket:
    """Have the ground start a console in the sandbox whose first process the pidfd is.

    Returns our end of its conversation. Raises `ConsoleRefusedError`.
    """
    if first is None:
        raise ConsoleRefusedError("it is not there yet, or has ended")
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    groups: list[int] = []
    try:
        if cgroup is not None:
            groups = cgroup.open_entrances()
        spawned = await ground.enter(entry, first, (theirs.fileno(), *groups))
        # Its end is the conversation's.
        os.close(spawned.pidfd)
    except (ContainerStartError, OSError) as error:
        ours.close()
        raise ConsoleRefusedError(f"its sandbox could not be entered: {error}") from error
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        for fd in groups:
            os.close(fd)
    return ours
