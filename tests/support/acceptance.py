"""A user with a home of their own, who only has the `offload` command."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
COMMAND = (str(Path(sys.executable).with_name("offload")),)


@dataclass
class User:
    """Runs commands with all their state under `home`."""

    home: Path
    extra: dict[str, str] = field(default_factory=dict)
    _started: list[subprocess.Popen[str]] = field(default_factory=list, init=False)

    @property
    def data_dir(self) -> Path:
        return Path(self.extra.get("OFFLOAD_DATA_DIR", self.home / "data" / "offload"))

    @property
    def folder(self) -> Path:
        """Where the user's programs are: apart from the platform's state, which no container may see."""
        folder = self.home / "work"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}  # noqa: TID251  # a user's shell has these
        places = {
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
        }
        return {**kept, **places, **self.extra}

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def run(
        self, *words: str, seconds: float = 120, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return self._run([*prefix, *COMMAND, *words], seconds)

    def run_python(
        self, file: str, seconds: float = 120, words: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, file, *words], seconds)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self._start([*COMMAND, *words], subprocess.DEVNULL)

    def start_python(self, file: str) -> subprocess.Popen[str]:
        """Start a program that can be written to."""
        return self._start([sys.executable, file], subprocess.PIPE)

    def status(self) -> dict[str, list[dict[str, object]]]:
        return json.loads(self.run("status", "--json").stdout)

    def stack(self) -> dict[str, int]:
        return json.loads((self.data_dir / "stack.json").read_text())

    def processes(self) -> dict[int, list[str]]:
        """Return every process whose command line or environment names this user's home."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes()
                    place = os.fsencode(str(self.home))
                    if place in words or place in (entry / "environ").read_bytes():
                        found[int(entry.name)] = words.decode(errors="replace").split("\0")
        return found

    def end(self) -> None:
        """Leave nothing of this user behind, also where a test failed half way."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run("down")
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started:
            process.kill()
            with contextlib.suppress(OSError), process:
                pass  # its pipes are closed

    def _run(self, argv: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def _start(self, argv: list[str], stdin: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            argv,
            env=self.environment,
            cwd=self.folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._started.append(process)
        return process


def wait_for_line(process: subprocess.Popen[str], text: str, seconds: float = 60) -> str:
    """Read the process's stdout up to the first line that holds `text`."""
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    seen = ""
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        seen += line
        if text in line:
            return line
        if not line:
            break
    raise AssertionError(f"{text!r} did not come; there was:\n{seen}")


def wait_gone(pids: list[int], seconds: float = 60) -> list[int]:
    """Wait until the processes are gone; return those that are not."""
    descriptors = {}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            descriptors[os.pidfd_open(pid)] = pid
    deadline = time.monotonic() + seconds
    while descriptors and (left := deadline - time.monotonic()) > 0:
        for descriptor in select.select(list(descriptors), [], [], left)[0]:
            os.close(descriptor)
            del descriptors[descriptor]
    for descriptor in descriptors:
        os.close(descriptor)
    return list(descriptors.values())


def run_on_terminal(user: User, *words: str, seconds: float = 60) -> tuple[int, str]:
    """Run a command with a terminal of its own; return its exit code and all it drew."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words],
        env={**user.environment, "TERM": "xterm-256color", "COLUMNS": "120"},
        cwd=user.folder,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    drawn = b""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(OSError):  # a terminal without a process reads as an error
        while select.select([leader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            drawn += os.read(leader, 65536)
    os.close(leader)
    return process.wait(timeout=60), drawn.decode(errors="replace")
