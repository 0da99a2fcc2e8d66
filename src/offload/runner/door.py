"""Where a runtime cannot give a container's first process its descriptors, it fetches them here and then becomes the guest.

Started as `python -I -S door.py DOOR ROLE GUEST_COMMAND…`. DOOR is the number of a connected socket, or the path of one that
the worker listens on; there this process shows its network namespace first, so that the worker can have a link put into it, and
gets its descriptors when that is there. ROLE is "guest", or "init" where this is the first process of a pid namespace of the
kernel's: the guest is its child then, because the kernel keeps most signals from a first process, and it reaps what user code
leaves. After the role, "=" and a filter of system calls in hexadecimal may follow: for engines whose own filter lets through what
no container needs. "owner=UID" is a guest whose files outside are uid 0's: it becomes UID in a user namespace of its own, in which
those files are its own. The worker sends one byte with four descriptors, which become 1, 2, SOCKET_FD and STDERR_FD of the command, as
if they had been inherited (see `offload.worker.sandbox.guest`). Nothing of the user's has run by then, so it is the right process
that enters. Must stay valid on CPython 3.9; `_socket` because `socket` takes milliseconds to import.
"""

import _socket
import os
import sys

_PLACES = (1, 2, 5, 6)
_INT_BYTES = 4


def enter(door: str) -> None:
    """Replace this process's descriptors by the worker's."""
    if door.isdigit():
        sock = _socket.socket(fileno=int(door))
    else:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        sock.connect(door)
        show_network(sock)
    size = len(_PLACES) * _INT_BYTES
    _, messages, _, _ = sock.recvmsg(1, _socket.CMSG_SPACE(size))
    if not messages:
        sys.exit("the worker closed the door: it is gone, or did not wait for this container")
    data = messages[0][2]
    received = [
        int.from_bytes(data[start : start + _INT_BYTES], sys.byteorder)
        for start in range(0, size, _INT_BYTES)
    ]
    sock.close()
    stdin = os.open(os.devnull, os.O_RDONLY)
    # Two steps, because one may sit on the number that another shall get.
    high = [os.dup2(fd, 100 + number, False) for number, fd in enumerate((stdin, *received))]
    for fd in (stdin, *received):
        os.close(fd)
    for fd, place in zip(high, (0, *_PLACES)):
        os.dup2(fd, place)
        os.close(fd)


def show_network(sock: _socket.socket) -> None:
    """Send the network namespace that this process is in, as a descriptor."""
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
    rights = namespace.to_bytes(_INT_BYTES, sys.byteorder)
    sock.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    os.close(namespace)


def stay_as_init() -> None:
    """Return in a child; the parent ends as the child does, and all others with it."""
    child = os.fork()
    if child == 0:
        return
    os.closerange(0, max(_PLACES) + 1)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def take_filter(program: bytes) -> None:
    """Take a filter of system calls for good."""
    sys.path.insert(0, _root())
    from offload.runner.call_filter import install_filter  # noqa: PLC0415 - found only through the path set above

    del sys.path[0]
    install_filter(program)


def own_files(user_id: int) -> None:
    """See `file_owner`."""
    sys.path.insert(0, _root())
    from offload.runner import file_owner  # noqa: PLC0415 - found only through the path set above

    del sys.path[0]
    file_owner.own_files(user_id)


def _root() -> str:
    return os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))  # noqa: PTH100, PTH118, PTH120 - slow


def become(command: list[str]) -> None:
    """Turn into the guest; into our own in this very interpreter, because another one takes its time to start."""
    _, _, _, program, *order = command
    own_boot = os.path.join(os.path.dirname(os.path.abspath(__file__)), "boot.py")  # noqa: PTH100, PTH118, PTH120 - slow
    if program != own_boot:
        os.execv(command[0], command)  # noqa: S606 - the purpose
    sys.path.insert(0, order[0])
    from offload.runner.boot import boot  # noqa: PLC0415 - found only through the path set above

    sys.exit(boot(order))


if __name__ == "__main__":
    enter(sys.argv[1])
    role, _, detail = sys.argv[2].partition("=")
    if role == "owner":
        own_files(int(detail))
    elif detail:
        take_filter(bytes.fromhex(detail))
    if role == "init":
        stay_as_init()
    become(sys.argv[3:])
