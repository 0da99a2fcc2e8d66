"""One program of a console's, and the bytes between it and the worker."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import struct
import sys
import termios

from offload.runner.console_keys import take_keys, tell_foreground
from offload.wire.guest import console

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NoReturn

# Beyond so much that one side has not taken, the other is not read.
_HELD_BYTES = 4 * console.PIECE_BYTES

# How long a program that is hung up on may take to end by itself.
_GRACE_MILLISECONDS = 500

_SHELLS = ("bash", "sh")
_NOT_FOUND, _NOT_RUN = 127, 126


class Session:
    """See the module. Single-threaded: everything waits in one `poll`."""

    def __init__(self, worker_in: int, worker_out: int, *, takes_keys: bool) -> None:
        self._takes_keys = takes_keys  # because the kernel's terminals do not
        self._worker_in = worker_in
        self._worker_out = worker_out
        self._frames = console.Frames()
        self._to_worker = bytearray()
        self._to_program = bytearray()
        self._is_input_over = False
        self._pid = 0  # of the program, once there is one
        self._has_terminal = False
        self._input_fd = -1
        self._outputs: dict[int, int] = {}  # descriptors to read, each with the kind of its frames
        self._exit_code: int | None = None
        self._child_ended, wake = os.pipe()
        for fd in (wake, self._child_ended, worker_in, worker_out):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # its own session's leader is the program
        signal.signal(signal.SIGTERM, _give_up)

    def run(self) -> None:
        """Go on until the program has ended and the worker knows, or the worker is gone."""
        try:
            while self._exit_code is None:
                self._turn()
            self._finish()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._end_program()
        except console.ConsoleProtocolError as error:
            os.write(2, f"offload console: {error}\n".encode())
            self._end_program()

    def _turn(self) -> None:
        poll = select.poll()
        # Also while nothing more is read of what the worker says: a worker that is gone must be noticed.
        listens = len(self._to_program) < _HELD_BYTES
        poll.register(self._worker_in, select.POLLIN if listens else select.POLLRDHUP)
        if self._to_worker:
            poll.register(self._worker_out, select.POLLOUT)
        if len(self._to_worker) < _HELD_BYTES:
            for fd in self._outputs:
                poll.register(fd, select.POLLIN | (self._wanted(fd)))
        if self._to_program and self._input_fd >= 0 and self._input_fd not in self._outputs:
            poll.register(self._input_fd, select.POLLOUT)
        poll.register(self._child_ended, select.POLLIN)
        for fd, events in poll.poll():
            self._on_event(fd, events)

    def _wanted(self, fd: int) -> int:
        return select.POLLOUT if fd == self._input_fd and self._to_program else 0

    def _on_event(self, fd: int, events: int) -> None:
        if fd == self._child_ended:
            os.read(fd, 512)
            self._reap()
        elif fd == self._worker_in:
            self._hear(events)
        elif fd == self._worker_out:
            self._flush()
        else:
            if fd in self._outputs and events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._read_output(fd)
            if fd == self._input_fd and events & (select.POLLOUT | select.POLLERR):
                self._feed()

    # --- the worker ---

    def _hear(self, events: int) -> None:
        if not events & select.POLLIN:
            raise EOFError
        data = _read(self._worker_in)
        if data is None:
            return
        if not data:
            raise EOFError
        for kind, body in self._frames.feed(data):
            self._obey(kind, body)

    def _obey(self, kind: int, body: bytes) -> None:
        if kind == console.START and not self._pid:
            self._start(json.loads(body))
        elif kind == console.INPUT:
            self._take_input(body)
        elif kind == console.INPUT_END:
            self._is_input_over = True
            self._feed()
        elif kind == console.SIZE:
            self._resize(*console.read_size(body))
        elif kind == console.SIGNAL and len(body) == 1:
            if self._pid > 0 and self._exit_code is None:
                _kill(-self._pid, body[0])
        else:
            raise console.ConsoleProtocolError(f"no worker says {kind} now")

    def _take_input(self, body: bytes) -> None:
        if self._input_fd < 0:
            return
        if self._has_terminal and self._takes_keys:
            body = take_keys(self._input_fd, body, self._pid)
        self._to_program += body
        self._feed()

    def _resize(self, rows: int, columns: int) -> None:
        if not self._has_terminal:
            return
        _set_size(self._input_fd, rows, columns)
        if self._takes_keys:
            tell_foreground(self._input_fd, signal.SIGWINCH, self._pid)

    def _say(self, kind: int, body: bytes) -> None:
        self._to_worker += console.pack(kind, body)

    def _flush(self) -> None:
        try:
            sent = os.write(self._worker_out, self._to_worker[: console.PIECE_BYTES])
        except BlockingIOError:
            return
        del self._to_worker[:sent]

    # --- the program ---

    def _start(self, order: dict[str, object]) -> None:
        size: list[int] | None = order["size"]  # type: ignore[assignment]  # see `console.START`
        try:
            if size is None:
                self._start_on_pipes(order)
            else:
                self._start_on_terminal(order, size)
        except OSError as error:
            self._say(console.REFUSED, f"the container has no room for it: {error}".encode())
            self._exit_code = _NOT_RUN
            self._pid = -1

    def _start_on_terminal(self, order: dict[str, object], size: list[int]) -> None:
        master, slave = os.openpty()
        _set_size(master, *size)
        self._pid = os.fork()
        if self._pid == 0:
            _become(order, (slave, slave, slave), slave)
        os.close(slave)
        os.set_blocking(master, False)
        self._has_terminal = True
        self._input_fd = master
        self._outputs[master] = console.OUTPUT

    def _start_on_pipes(self, order: dict[str, object]) -> None:
        (their_in, our_in), (our_out, their_out), (our_err, their_err) = (
            os.pipe(),
            os.pipe(),
            os.pipe(),
        )
        self._pid = os.fork()
        if self._pid == 0:
            _become(order, (their_in, their_out, their_err), None)
        for fd in (their_in, their_out, their_err):
            os.close(fd)
        for fd in (our_in, our_out, our_err):
            os.set_blocking(fd, False)
        self._input_fd = our_in
        self._outputs = {our_out: console.OUTPUT, our_err: console.ERRORS}

    def _feed(self) -> None:
        fd = self._input_fd
        if fd < 0:
            self._to_program.clear()
            return
        try:
            while self._to_program:
                del self._to_program[: os.write(fd, self._to_program[: console.PIECE_BYTES])]
        except BlockingIOError:
            return
        except OSError:  # it reads no more
            self._to_program.clear()
            self._is_input_over = not self._has_terminal
        if self._is_input_over and not self._has_terminal:
            os.close(fd)
            self._input_fd = -1

    def _read_output(self, fd: int) -> bool:
        """Take what the program has written; return whether there may be more."""
        try:
            data = _read(fd)
        except OSError as error:
            if error.errno != errno.EIO:  # how a terminal says that nobody has it open
                raise
            data = b""
        if data:
            self._say(self._outputs[fd], data)
        elif data is not None:
            del self._outputs[fd]
        return bool(data)

    def _reap(self) -> None:
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG) if self._pid > 0 else (0, 0)
        except ChildProcessError:
            return
        if pid:
            code = os.waitstatus_to_exitcode(status)
            self._exit_code = code if code >= 0 else 128 - code

    # --- the end ---

    def _finish(self) -> None:
        """Pass on what the program wrote before it ended, and how it did."""
        left = _HELD_BYTES * 8  # what it has left behind may write for ever
        for fd in list(self._outputs):
            while left > 0 and fd in self._outputs and self._read_output(fd):
                left -= console.PIECE_BYTES
        if self._pid > 0:
            self._say(console.EXIT, bytes([min(self._exit_code or 0, 255)]))
        while self._to_worker:
            poll = select.poll()
            poll.register(self._worker_out, select.POLLOUT)
            poll.poll()
            self._flush()

    def _end_program(self) -> None:
        """Kill everything of the program's session; it may end by itself before."""
        if self._pid <= 0:
            return
        if self._exit_code is None:
            _kill(-self._pid, signal.SIGHUP)
            if self._has_terminal and self._input_fd >= 0:
                os.close(self._input_fd)  # the kernel tells whoever has the terminal open
            poll = select.poll()
            poll.register(self._child_ended, select.POLLIN)
            poll.poll(_GRACE_MILLISECONDS)
        for pid in _session_of(self._pid):
            _kill(pid, signal.SIGKILL)
        _kill(-self._pid, signal.SIGKILL)


def _give_up(*_: object) -> NoReturn:
    raise EOFError


def _become(
    order: dict[str, object], standard: tuple[int, int, int], terminal: int | None
) -> NoReturn:
    """Turn this forked process into the program."""
    code = _NOT_RUN
    try:
        os.setsid()
        for number in (
            signal.SIGCHLD,
            signal.SIGHUP,
            signal.SIGTERM,
            signal.SIGPIPE,
            signal.SIGXFSZ,
        ):
            signal.signal(number, signal.SIG_DFL)
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        # Two steps, because one may sit on the number that another shall get.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in standard]
        for place, fd in enumerate(high):
            os.dup2(fd, place)
        os.closerange(3, 256)
        environment = {**os.environ, **order["env"]}  # type: ignore[dict-item]  # noqa: TID251  # the container's own
        _enter(str(order["cwd"]), environment)
        argv: list[str] = order["argv"] or [_shell(environment)]  # type: ignore[assignment]  # words
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - the purpose
    except FileNotFoundError:
        code = _NOT_FOUND
        os.write(2, f"offload: there is no program {order['argv']!r} in the container\r\n".encode())
    except BaseException as error:  # noqa: BLE001 - nothing may return into the console's code
        os.write(2, f"offload: the program could not be started: {error}\r\n".encode())
    os._exit(code)


def _enter(folder: str, environment: dict[str, str]) -> None:
    for path in (folder, environment.get("HOME", "/"), "/"):
        try:
            os.chdir(path)
        except OSError:
            continue
        return


def _shell(environment: dict[str, str]) -> str:
    for name in _SHELLS:
        for folder in environment.get("PATH", os.defpath).split(":"):
            path = f"{folder}/{name}"
            if os.access(path, os.X_OK):
                return path
    return "/bin/sh"


def _session_of(leader: int) -> list[int]:
    """Return the processes of a session, as far as /proc tells."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - pathlib is slow to import
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123 - see above
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if len(fields) > 3 and int(fields[3]) == leader:
                found.append(int(entry))
    return found


def _set_size(fd: int, rows: int, columns: int) -> None:
    try:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    except OSError:
        sys.stderr.write("offload console: the terminal keeps its size\n")


def _read(fd: int) -> bytes | None:
    """Return what is there; None where that is nothing yet."""
    try:
        return os.read(fd, console.PIECE_BYTES)
    except BlockingIOError:
        return None


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.kill(pid, number)
