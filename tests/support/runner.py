"""A real runner in a process of its own, driven over its socket as a worker would."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import cloudpickle

from offload.sdk import serialize
from offload.wire import guest
from offload.wire.limits import CHUNK_BYTES, INLINE_PAYLOAD_BYTES

if TYPE_CHECKING:
    from types import TracebackType

M = TypeVar("M")

GUEST_ROOT = str(Path(guest.__file__).parents[3])
# What the sandbox's boot does, without its limits.
_BOOT = (
    "import sys; sys.path.insert(0, {root!r})\n"
    "from offload.runner.main import main\n"
    "sys.exit(main({fd}))"
)


class RunnerEndError(Exception):
    """The runner closed its socket."""


class RunnerProcess:
    """Starts a runner with these options of the interpreter; sends it messages, and keeps every message it sends."""

    def __init__(
        self,
        *options: str,
        timeout_seconds: float = 30.0,
        python: str = sys.executable,
        guest_root: str = GUEST_ROOT,
    ) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(timeout_seconds)
        boot = _BOOT.format(root=guest_root, fd=theirs.fileno())
        self.process = subprocess.Popen(
            [python, *options, "-I", "-S", "-c", boot],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        self._decoder = guest.Decoder()
        self._ready: list[guest.Message] = []
        self._bulk_out = 0
        self._bulk_in: dict[int, bytearray] = {}
        self.seen: list[guest.Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    # --- sending ---

    def send(self, *messages: guest.Message) -> None:
        self.socket.sendall(b"".join(guest.encode(message) for message in messages))

    def body(self, obj: object) -> guest.Body:
        """Pickle by value; large pickles go ahead in pieces."""
        data = cloudpickle.dumps(obj, 5)
        if len(data) <= INLINE_PAYLOAD_BYTES:
            return guest.Body("pickle", data)
        self._bulk_out += 1
        for at in range(0, len(data), CHUNK_BYTES):
            last = at + CHUNK_BYTES >= len(data)
            self.send(guest.Bulk(self._bulk_out, data[at : at + CHUNK_BYTES], last))
        return guest.Body("pickle", b"", self._bulk_out)

    def load(
        self,
        function: object,
        *,
        is_generator: bool = False,
        env: tuple[tuple[str, str], ...] = (),
        working_dir: str = "/",
        path: tuple[str, ...] | None = None,
        calls: tuple[int, int, float] = (1, 0, 0.0),
    ) -> guest.Fault | None:
        """Have it become the function, or what is pickled in a body, and wait until it says how that went.

        `calls` are how many at the same time, for batches of which size (0: none), and how long those wait.
        """
        code = function if isinstance(function, guest.Body) else self.body(function)
        if path is None:
            path = tuple(entry for entry in sys.path if entry and "/tests" not in entry)
        name = getattr(function, "__name__", "function")
        self.send(guest.Load(name, is_generator, code, path, env, working_dir, *calls))
        return self.wait_for(guest.Loaded).fault

    def run(self, input_id: str, *args: object, **kwargs: object) -> None:
        self.send(guest.Run((self.task(input_id, *args, **kwargs),)))

    def task(self, input_id: str, *args: object, **kwargs: object) -> guest.Task:
        return guest.Task(input_id, 1, self.body((args, kwargs)))

    # --- receiving ---

    def receive(self) -> guest.Message:
        while not self._ready:
            data = self.socket.recv(1 << 16)
            if not data:
                raise RunnerEndError
            self._ready = self._decoder.feed(data)
        message = self._ready.pop(0)
        if isinstance(message, guest.Bulk):
            self._bulk_in.setdefault(message.number, bytearray()).extend(message.data)
        else:
            self.seen.append(message)
        return message

    def wait_for(self, kind: type[M]) -> M:
        while True:
            message = self.receive()
            if isinstance(message, kind):
                return message

    def results(self, count: int = 1) -> list[guest.Result]:
        found: list[guest.Result] = []
        while len(found) < count:
            found += self.wait_for(guest.Results).results
        return found

    def result(self) -> guest.Result:
        [result] = self.results()
        return result

    def call(self, *args: object, **kwargs: object) -> guest.Result:
        self.run("in-1", *args, **kwargs)
        return self.result()

    def value(self, result: guest.Result) -> object:
        assert result.fault is None, result.fault
        assert result.value is not None
        return self.loads(result.value)

    def loads(self, body: guest.Body) -> object:
        data = bytes(self._bulk_in.pop(body.bulk)) if body.bulk else body.inline
        return serialize.loads(data)

    def lines(self) -> list[tuple[str, str, str]]:
        """Every line printed so far: input, stream, text."""
        outputs = [m for m in self.seen if isinstance(m, guest.Outputs)]
        return [(*line,) for message in outputs for line in message.lines]

    def items(self) -> list[object]:
        return [self.loads(m.value) for m in self.seen if isinstance(m, guest.Item)]

    # --- the end ---

    def wait_end(self, timeout_seconds: float = 30.0) -> tuple[int, str]:
        """Return the exit code and what the process wrote to its stderr below Python."""
        _, stderr = self.process.communicate(timeout=timeout_seconds)
        return self.process.returncode, stderr.decode()


def race_cancels(runner: RunnerProcess) -> None:
    """Have cancels race with the ends of many short inputs; what was not named must succeed."""
    outcomes: list[guest.Result] = []
    for number in range(300):
        named, innocent = f"in-{number}a", f"in-{number}b"
        runner.send(
            guest.Run((runner.task(named), runner.task(innocent))),
            guest.Cancel((named,), timed_out=False, reason=""),
        )
        while not any(result.input_id == innocent for result in outcomes):
            outcomes += runner.wait_for(guest.Results).results
    assert all(result.fault is None for result in outcomes if result.input_id.endswith("b"))
    assert all(result.interrupted for result in outcomes if result.fault is not None)


def round_trip_microseconds(runner: RunnerProcess, count: int) -> float:
    """Median time of a warm call, socket to socket."""
    frame = guest.encode(guest.Run((runner.task("in-1"),)))
    spans = []
    for _ in range(count):
        start = time.perf_counter()
        runner.socket.sendall(frame)
        runner.socket.recv(1 << 16)
        spans.append(time.perf_counter() - start)
    return sorted(spans)[count // 2] * 1e6
