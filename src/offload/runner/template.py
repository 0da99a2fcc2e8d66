"""A template: a runner that becomes the function and then, instead of running inputs, forks one container after the other.

Each fork enters the namespaces of an empty sandbox, forks once more (only a child is born into a pid namespace), gives up every
capability that entering gave it, takes its own socket and pipes, and is then a runner like any other.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from _socket import CMSG_LEN, SCM_RIGHTS, SOL_SOCKET, socket

from offload.runner.call_filter import install_filter
from offload.runner.exits import leave
from offload.runner.forkable import reseed, why_not_forkable
from offload.runner.link import Loading
from offload.runner.main import greet, open_connection
from offload.runner.outbox import exit_now
from offload.runner.parts import Parts
from offload.wire.guest import GUEST_PROTOCOL, UNFORKABLE, Fault, Hello, Loaded

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NamedTuple, NoReturn

    from offload.runner.load import Loaded as LoadedCode
else:
    from offload.wire.records import NamedTuple

_MESSAGE_BYTES = 16 * 1024
_MAX_FDS = 32
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 4, 24
_CAPABILITY_VERSION_3 = 0x20080522
_HIGHEST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


def main(fd: int, forks_fd: int) -> NoReturn:
    """Load the function that the worker on `fd` names, then fork whenever the keeper on `forks_fd` asks."""
    os.set_inheritable(forks_fd, False)
    connection = open_connection(fd)
    outbox = greet(connection)
    parts = Parts(connection, outbox)
    loading = parts.link.next()
    if not isinstance(loading, Loading):
        leave(0)
    code, fault = parts.load(loading, in_template=True)
    if code is not None:
        done = code.done_in_template
        reason = why_not_forkable({0, 1, 2, fd, forks_fd, *outbox.own_fds}, done)
        fault = Fault(UNFORKABLE, reason, (), None) if reason else None
    outbox.add(Loaded(fault), 64)
    outbox.flush()
    if code is None or fault is not None:
        leave(0)
    template = _Template(parts, connection, code, loading)
    gc.collect()
    gc.freeze()  # or the children's collections would copy every page that holds an object
    template.fork_for_ever(socket(fileno=forks_fd))


class _Request(NamedTuple):
    name: str
    namespaces: int  # how many of the descriptors that came along; socket, stdout, stderr, and control groups follow
    filter: bytes  # of system calls, for the container


class _Template:
    def __init__(
        self, parts: Parts, connection: socket, code: LoadedCode, loading: Loading
    ) -> None:
        self._parts = parts
        self._connection = connection
        self._code = code
        self._loading = loading

    def fork_for_ever(self, forks: socket) -> NoReturn:
        """Make a container of each request, until the keeper is gone."""
        while True:
            data, ancillary, _, _ = forks.recvmsg(_MESSAGE_BYTES, CMSG_LEN(_MAX_FDS * 4))
            if not data:
                exit_now(0)
            request, fds = _read_request(data), _descriptors(ancillary)
            pid = os.fork()
            if pid == 0:
                self._enter_sandbox(forks, request, fds)
            for fd in fds:
                os.close(fd)
            os.waitpid(pid, 0)

    def _enter_sandbox(self, forks: socket, request: _Request, fds: list[int]) -> NoReturn:
        count = request.namespaces
        namespaces, groups = fds[:count], fds[count + 3 :]
        answer = {"name": request.name}
        try:
            for fd in namespaces:
                _enter(fd)
            for fd in groups:
                os.write(fd, b"0")  # this process itself: no other move into a group is as quick
            pid = os.fork()
        except OSError as error:
            pid, answer["error"] = -1, str(error)
        if pid != 0:
            forks.send(json.dumps(answer).encode())
            exit_now(0)
        try:
            forks.close()
            for fd in (*namespaces, *groups):
                os.close(fd)
            os.setsid()
            _give_up_capabilities()
            install_filter(request.filter)
            self._become_container(request.name, *fds[count : count + 3])
        except BaseException as error:  # noqa: BLE001 - nothing may return into the template's code
            os.write(2, f"offload runner: {type(error).__name__}: {error}\n".encode())
        exit_now(1)

    def _become_container(
        self, name: str, connection_fd: int, stdout_fd: int, stderr_fd: int
    ) -> NoReturn:
        for number, fd in ((1, stdout_fd), (2, stderr_fd)):
            os.dup2(fd, number)
            os.close(fd)
        reseed()
        os.environ["OFFLOAD_CONTAINER_ID"] = name  # noqa: TID251 - it was the template's
        _stand_in(self._loading.order.working_dir)
        self._connection.close()
        connection = open_connection(connection_fd)
        self._parts.adopt(connection)
        self._parts.outbox.add(Hello(GUEST_PROTOCOL, os.getpid(), sys.version.split()[0]), 64)
        self._parts.serve(self._code, self._loading)


def _read_request(data: bytes) -> _Request:
    fields = json.loads(data)
    return _Request(fields["name"], fields["namespaces"], bytes.fromhex(fields["filter"]))


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            fds.extend(memoryview(data[: len(data) - len(data) % 4]).cast("i"))
    return fds


def _enter(namespace_fd: int) -> None:
    if _libc.setns(namespace_fd, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


def _give_up_capabilities() -> None:
    for number in range(_HIGHEST_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break  # there are no more
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")
    # Entering a user namespace has hidden this process's /proc entries from its own user.
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _stand_in(working_dir: str) -> None:
    try:
        os.chdir(working_dir)
    except OSError:
        os.chdir(os.path.expanduser("~"))  # noqa: PTH111 - pathlib is slow to import
