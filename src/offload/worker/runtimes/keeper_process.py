"""The keeper: first process of a template's sandbox; makes an empty sandbox for each container and buries the dead.

No user code ever runs in it, and it runs the worker's own interpreter, not the image's. It has no capabilities; what it may
do and no container may is to make user namespaces. `docs/design/templates.md` says how the parts fit together:

- the *template*, its child, has the function loaded and forks; no capabilities, and a filter of system calls;
- a *shell*, one per container, is a sandbox without a program: namespaces below a user namespace of their own, in which
  everything is mounted, and a first process (this code again) that waits for the dead;
- a fork of the template enters the shell's namespaces by descriptors that it is handed for this one purpose.

Requests and news are JSON datagrams over one SOCK_SEQPACKET socket to the worker, and over another one to the template.
Standard library only, run with `python -I -S`.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys

# Started as a file, with `-I`: the package it belongs to is found from there.
sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), *[".."] * 3)))  # noqa: PTH100, PTH118, PTH120 - pathlib is slow to import
from offload.worker.runtimes.keeper_shell import Shell, close_all_but, install_filter, write

_PR_SET_DUMPABLE = 4

# The template's descriptors besides 0, 1, 2: see `sandbox.guest`.
_FORKS_FD = 7
_READY_SHELLS = 2
# Where memory is short the template goes before what keeps its containers.
_FIRST_TO_DIE = "500"
_MESSAGE_BYTES = 64 * 1024
_MAX_FDS = 16

_libc = ctypes.CDLL(None, use_errno=True)


class _Kept:
    """A container: the shell it lives in, and how its main process ended."""

    def __init__(self, name: str, shell: Shell) -> None:
        self.name = name
        self.shell = shell
        self.end: dict[str, object] | None = None


# --- the keeper itself ---


class _Keeper:
    def __init__(self, control: socket.socket, order: dict[str, object]) -> None:
        self._control = control
        self._order = order
        line_fd = order["line"]
        self._line = None if line_fd is None else socket.socket(fileno=int(str(line_fd)))
        self._ready: list[Shell] = []
        self._kept: dict[int, _Kept] = {}  # by the first process's number
        self._asked: dict[str, _Kept] = {}  # the template has not answered yet
        self._is_dropped = False
        self._has_room = True
        self._template, self._forks = self._start_template()
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write)

    def _start_template(self) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            argv = [str(word) for word in self._order["argv"]]  # type: ignore[attr-defined]  # a list
            try:
                os.setsid()
                _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # or its own /proc entries were root's
                write("/proc/self/oom_score_adj", _FIRST_TO_DIE)
                os.dup2(theirs.fileno(), _FORKS_FD)
                for number in range(_FORKS_FD + 1, 256):
                    try:  # noqa: SIM105 - see `_close_all_but`
                        os.close(number)
                    except OSError:
                        pass
                for number in (signal.SIGPIPE, signal.SIGXFSZ):  # python ignores them
                    signal.signal(number, signal.SIG_DFL)
                install_filter(bytes.fromhex(str(self._order["template_filter"])))
                os.execv(argv[0], argv)  # noqa: S606 - the purpose of this process
            except BaseException as error:  # noqa: BLE001 - nothing may return into the keeper's code
                os.write(2, f"{argv[0]}: {error}".encode())
            os._exit(127)
        theirs.close()
        # The template's own: the worker shall see their end when it ends.
        line = () if self._line is None else (self._line.fileno(),)
        close_all_but((2, ours.fileno(), self._control.fileno(), *line))
        return pid, ours

    def serve(self) -> None:
        """Obey the worker until it is gone."""
        poll = select.poll()
        for fd in (self._control.fileno(), self._forks.fileno(), self._wake_read):
            poll.register(fd, select.POLLIN)
        while True:
            # A shell is made ahead while nobody waits.
            is_short = self._has_room and not self._is_dropped and len(self._ready) < _READY_SHELLS
            ready = {fd for fd, _ in poll.poll(0 if is_short else None)}
            if not ready and is_short:
                self._make_ahead()
            if self._control.fileno() in ready and not self._obey():
                return
            if self._forks.fileno() in ready and not self._hear():
                poll.unregister(self._forks.fileno())
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                self._reap()

    def _make_ahead(self) -> None:
        try:
            self._ready.append(Shell(self._order, self._line))
        except OSError:
            self._has_room = False  # the next request tries again, and tells

    def _tell(self, news: dict[str, object], fds: tuple[int, ...] = ()) -> None:
        socket.send_fds(self._control, [json.dumps(news).encode()], fds)

    def _obey(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, _MAX_FDS)
        if not data:
            return False
        request = json.loads(data)
        if "fork" in request:
            self._fork(request["fork"], list(fds))
        elif "drop" in request:
            self._drop()
        for fd in fds:
            os.close(fd)
        return True

    def _fork(self, name: str, fds: list[int]) -> None:
        try:
            shell = self._ready.pop() if self._ready else Shell(self._order, self._line)
        except OSError as error:
            self._tell({"refused": name, "error": str(error)})
            return
        kept = self._kept[shell.pid] = self._asked[name] = _Kept(name, shell)
        request = json.dumps(
            {
                "name": name,
                "namespaces": len(shell.fds),
                "filter": self._order["container_filter"],
            }
        ).encode()
        try:
            socket.send_fds(self._forks, [request], [*shell.fds, *fds])
        except OSError as error:
            self._refuse(kept, f"the template is gone: {error}")
        shell.forget_fds()
        self._has_room = True

    def _refuse(self, kept: _Kept, why: str) -> None:
        if self._asked.pop(kept.name, None) is not None:
            self._tell({"refused": kept.name, "error": why})
        kept.shell.kill()

    def _hear(self) -> bool:
        """Take the template's word that a container runs, or why not. It is not to be trusted with more."""
        try:
            data = self._forks.recv(_MESSAGE_BYTES)
        except OSError:
            data = b""
        if not data:
            return False
        try:
            answer = json.loads(data)
            kept = self._asked.get(answer["name"])
            why = answer.get("error")
        except (ValueError, KeyError, TypeError, AttributeError):
            return True
        if kept is not None and why is not None:
            self._refuse(kept, str(why)[:1000])
        elif kept is not None:
            del self._asked[kept.name]
            self._tell({"forked": kept.name}, (kept.shell.pidfd,))
        return True

    def _drop(self) -> None:
        """End the template; its containers live on."""
        self._is_dropped = True
        for shell in self._ready:
            shell.kill()
            shell.close()
        self._ready.clear()
        try:  # noqa: SIM105 - see `_close_all_but`
            os.kill(self._template, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _reap(self) -> None:
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            namespace = _pid_namespace(dead.si_pid)
            os.waitpid(dead.si_pid, 0)
            is_exit = dead.si_code == os.CLD_EXITED
            self._bury(
                dead.si_pid,
                namespace,
                {
                    "code": dead.si_status if is_exit else None,
                    "signal": None if is_exit else dead.si_status,
                },
            )

    def _bury(self, pid: int, namespace: int, end: dict[str, object]) -> None:
        kept = self._kept.pop(pid, None)
        if kept is not None:  # the kernel has ended all others of its namespace before
            kept.shell.close()
            if self._asked.pop(kept.name, None) is not None:
                self._tell({"refused": kept.name, "error": "it ended while it was forked"})
            else:
                self._tell(
                    {
                        "ended": kept.name,
                        **(kept.end or {"code": None, "signal": int(signal.SIGKILL)}),
                    }
                )
        elif pid == self._template:
            self._is_dropped = True
            self._tell({"template_ended": end})
            for asked in list(self._asked.values()):
                self._refuse(asked, "the template ended")
        else:
            for other in self._kept.values():
                if other.shell.namespace == namespace and other.end is None:
                    other.end = end
                    other.shell.kill()


def _pid_namespace(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino  # noqa: PTH116 - pathlib would double this process's start time
    except OSError:
        return 0


def main(control_fd: int) -> None:
    """Keep one template and its containers until the worker is gone."""
    # What has the same user and may debug could otherwise look at this process.
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    control = socket.socket(fileno=control_fd)
    order = json.loads(control.recv(_MESSAGE_BYTES))
    order["uid"] = os.getuid()
    _Keeper(control, order).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
