"""A worker alone in a control group of version 2, as a program: `cgroup_probe.py MOUNT GROUP CONTROLLERS`.

It takes the group as a worker does, for the controllers named, makes one group for a container where it may, and prints one JSON
object of what came of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from offload.worker.runtimes import cgroups

_LIMIT_MIB = 32


def main(mount: Path, group: str, controllers: tuple[str, ...]) -> None:
    """Print the findings; what was made is removed again, but for the group itself."""
    directory = mount / group
    (directory / "cgroup.procs").write_text(str(os.getpid()))
    root, enabled = cgroups._make_v2(directory, f"offload-{os.getpid()}-0a", controllers)
    place = Path("/proc/self/cgroup").read_text().split("0::")[1].split()[0]
    found: dict[str, object] = {
        "is_made": root is not None,
        "enabled": enabled,
        "place": Path(place).name,
        "given_on": (root / "cgroup.subtree_control").read_text().split() if root else [],
    }
    if root is not None and "memory" in enabled:
        found |= _run_a_hoarder(root)
    if root is not None:
        cgroups._remove_tree(root)
    (mount / "cgroup.procs").write_text(str(os.getpid()))
    print(json.dumps(found))  # noqa: T201


def _run_a_hoarder(root: Path) -> dict[str, object]:
    directory = root / "ct-1"
    directory.mkdir()
    cgroups._limit_memory(directory, _LIMIT_MIB << 20, is_v2=True)
    container = cgroups.ContainerCgroup(directory, directory)
    words = "import sys; sys.stdin.read(1); bytearray(200 << 20)"
    with subprocess.Popen([sys.executable, "-c", words], stdin=subprocess.PIPE) as hoarder:
        container.add(hoarder.pid)
        hoarder.communicate(b"x")
    use = container.memory_use()
    container.remove()
    return {"exit": hoarder.returncode, "oom_kills": use.oom_kills, "peak_mib": use.peak_mib}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], tuple(sys.argv[3].split(",")))
