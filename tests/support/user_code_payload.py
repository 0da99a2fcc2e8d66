"""What the security tests try from user code, through the SDK and a whole stack: prints one JSON object of findings.

A program, so that root and an ordinary user can run the same attacks.
"""

# The attacks are written as attackers would: plain paths, no care.
# ruff: noqa: PTH110, PTH123, PTH208, S108, T201, TID251, PLC0415

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import offload
from offload import testing

app = offload.App("from-user-code")

Findings = dict[str, object]


def attempt(action):
    try:
        return action()
    except Exception as error:  # noqa: BLE001  # any refusal is a finding
        return f"{type(error).__name__}: {error}"


def looks(data_dir, home):
    """Name every attack; each answer is what came of it."""
    import subprocess

    def write(path):
        return lambda: open(path, "w").close()

    def run(*words):
        return lambda: subprocess.run(words, capture_output=True, check=False).returncode

    files = ("/usr/x", "/etc/x", "/dev/x", "/run/x", "/run/offload/guest/x", f"{home}/x")
    kernel = ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/fs/cgroup/cgroup.procs")
    return {
        "writes": {path: write(path) for path in files},
        "kernel": {path: write(path) for path in kernel},
        "data_dir": lambda: os.listdir(data_dir),
        "home": lambda: os.listdir(home),
        "secret": lambda: open(f"{home}/secret").read(),
        "shadow": lambda: open("/etc/shadow").read(),
        "token": lambda: open(f"{data_dir}/token").read(),
        "first_environ": lambda: open("/proc/1/environ").read(),
        "own_environ": lambda: sorted(os.environ),
        "processes": lambda: [int(name) for name in os.listdir("/proc") if name.isdigit()],
        "uid": os.getuid,
        "become_root": lambda: os.setuid(0),
        "status": lambda: dict(
            line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines()
        ),
        "user_namespace": run("unshare", "--user", "true"),
        "mount": run("mount", "-t", "tmpfs", "x", "/tmp"),
        "node": lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(254, 0)),
        "sudo": run("su", "-c", "true"),
    }


@app.function(memory=256)
def attack(data_dir, home):
    found: Findings = {}
    for name, action in looks(data_dir, home).items():
        if isinstance(action, dict):
            found[name] = {key: attempt(part) for key, part in action.items()}
        else:
            found[name] = attempt(action)
    return found


@app.function()
def leave_a_trace():
    Path("/tmp/trace").write_text("mine")
    Path.home().joinpath("trace").write_text("mine")


@app.function()
def find_a_trace():
    return [os.path.exists("/tmp/trace"), Path.home().joinpath("trace").exists()]


@app.function(block_network=True)
def interfaces():
    return [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]


@app.function()
def visible_interfaces():
    return [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]


def main(directory: str) -> None:
    data_dir = f"{directory}/data"
    Path(directory, "secret").write_text("mine alone")
    with testing.local_stack(data_dir), app.run():
        found = attack.remote(data_dir, directory)
        leave_a_trace.remote()
        found["trace"] = find_a_trace.remote()
        found["blocked"] = interfaces.remote()
        found["open"] = visible_interfaces.remote()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
