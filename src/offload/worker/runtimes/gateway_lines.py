"""The lines of a gateway: a network namespace per container, its link to the router, and what may pass there."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from offload.worker.runtimes.rtnetlink import DELLINK, LINK_GROUP, Links
from offload.worker.sandbox.network import (
    INTERFACE,
    LINES,
    NET_BITS,
    Line,
    line_commands,
    names_commands,
    policy_commands,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.worker.core.dns import Answer
    from offload.worker.core.network import AllowList
    from offload.worker.runtimes.nftables import Ruleset

_CLONE_NEWNET = 0x40000000
_READY_LINES = 4
# The kernel's number of a container's end. Drivers of tunnels that a machine has loaded put a link of their own into every new
# namespace, and take the low ones.
_FAR_INDEX = 1000
# Programs keep what a name was answered for longer than it says; a guess that lets them.
_LEAST_SECONDS = 300
# What one container may make the kernel hold.
_MOST_ADDRESSES = 4096

_libc = ctypes.CDLL(None, use_errno=True)

_T = TypeVar("_T")


def leave_network() -> None:
    """Put the calling thread into a network namespace of its own."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare(CLONE_NEWNET): {os.strerror(number)}")


def write_setting(path: str, text: str) -> None:
    """Set what the kernel keeps for the namespace of the calling thread; a kernel that has no such thing needs none."""
    try:
        with open(f"/proc/sys/net/{path}", "w") as file:  # noqa: PTH123 - pathlib would double this process's start time
            file.write(text)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):
            raise


def in_new_thread(action: Callable[[], _T]) -> _T:
    """Do something that moves its thread to another namespace, from where an ordinary user's cannot come back."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class HeldLine:
    """A line that somebody has, and what it may reach."""

    def __init__(self, line: Line, allowed: AllowList | None) -> None:
        self.line = line
        self.allowed = allowed  # None: everything
        self.learned: dict[str, float] = {}  # addresses of allowed names, and until when


class Lines:
    """Makes lines ahead, gives them out, and takes note when the last process of a container has gone with its own."""

    def __init__(self, rules: Ruleset, mtu: int) -> None:
        self._rules = rules
        self._mtu = mtu
        self._links = Links()
        self._events = Links(LINK_GROUP)
        self._count = 0
        self._slots = deque(range(1, LINES))
        self._ready: deque[tuple[Line, int]] = deque()
        self._known: dict[str, Line] = {}
        self._held: dict[str, HeldLine] = {}  # by the container's address
        self.events_fd = self._events.socket.fileno()

    @property
    def is_short(self) -> bool:
        """Whether a line should be made while nobody waits."""
        return len(self._ready) < _READY_LINES

    @property
    def has_learned(self) -> bool:
        """Whether an address will have to be forgotten."""
        return any(held.learned for held in self._held.values())

    def make_ahead(self) -> None:
        """Make a line that the next one who asks will get."""
        self._ready.append(self._make(None))

    def take(self, allowed: AllowList | None) -> int:
        """Return a namespace, as a descriptor, whose `eth0` reaches what is allowed."""
        line, namespace = self._ready.popleft() if self._ready else self._make(None)
        try:
            self._open(line, allowed)
        except (OSError, ValueError):
            os.close(namespace)
            raise
        return namespace

    def attach(self, namespace: int, allowed: AllowList | None) -> None:
        """Give a namespace that exists its `eth0`."""
        line, _ = self._make(namespace)
        self._open(line, allowed)

    def at(self, address: str) -> HeldLine | None:
        """Return who has an address."""
        return self._held.get(address)

    def learn(self, held: HeldLine, answers: list[Answer], now: float) -> None:
        """Let a container reach the addresses that an allowed name has. Raises OSError."""
        if len(held.learned) + len(answers) > _MOST_ADDRESSES:
            raise OSError(0, f"more than {_MOST_ADDRESSES} addresses")
        new = [answer.address for answer in answers if answer.address not in held.learned]
        if new:
            self._rules.change(names_commands("add", held.line, dict.fromkeys(new)))
        for answer in answers:
            until = now + max(answer.ttl_seconds, _LEAST_SECONDS)
            held.learned[answer.address] = max(until, held.learned.get(answer.address, 0.0))

    def forget_old(self, now: float) -> None:
        """Close the addresses that no answer was given for lately; connections to them go on."""
        for held in self._held.values():
            old = [address for address, until in held.learned.items() if until <= now]
            if old:
                self._rules.change(names_commands("delete", held.line, old))
                for address in old:
                    del held.learned[address]

    def on_events(self) -> None:
        """Take back the lines whose namespaces have gone."""
        try:
            gone = [name for kind, name in self._events.read_events() if kind == DELLINK]
        except OSError:  # there were more events than the kernel keeps
            present = {name for _, name in socket.if_nameindex()}
            gone = [name for name in self._known if name not in present]
        for line in [self._known.pop(name) for name in gone if name in self._known]:
            self._forget(line)

    def _forget(self, line: Line) -> None:
        commands = [line_commands("delete", line)]
        held = self._held.pop(line.far, None)
        if held is not None:
            cidrs = None if held.allowed is None else held.allowed.cidrs
            commands.append(policy_commands("delete", line, cidrs))
            commands.append(names_commands("delete", line, held.learned))
        self._rules.change("\n".join(commands))
        self._slots.append(line.slot)

    def _open(self, line: Line, allowed: AllowList | None) -> None:
        commands = policy_commands("add", line, None if allowed is None else allowed.cidrs)
        if commands:
            self._rules.change(commands)
        self._held[line.far] = HeldLine(line, allowed)

    def _make(self, namespace: int | None) -> tuple[Line, int]:
        """Make a line into a namespace, a new one for None; return that, too."""
        if not self._slots:
            raise OSError(0, "every address for containers is in use")
        self._count += 1
        line = Line(self._count, self._slots.popleft())
        opened = -1
        try:
            opened = in_new_thread(lambda: self._lay(line, namespace))
            self._rules.change(line_commands("add", line))
        except OSError:
            if opened >= 0 and namespace is None:
                os.close(opened)
            self._slots.append(line.slot)
            raise
        self._known[line.name] = line
        return line, opened

    def _lay(self, line: Line, namespace: int | None) -> int:
        if namespace is None:
            leave_network()
            namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            is_new = True
        else:
            is_new = False
            if _libc.setns(namespace, _CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, f"setns: {os.strerror(number)}")
        try:
            self._lay_in(line, namespace, is_new=is_new)
        except OSError:
            if is_new:
                os.close(namespace)
            raise
        return namespace

    def _lay_in(self, line: Line, namespace: int, *, is_new: bool) -> None:
        # Policies are about IPv4 only, so there is no other.
        write_setting("ipv6/conf/default/disable_ipv6", "1")
        # For `ping`, which needs no raw socket then. Only groups that this user namespace knows can be named.
        first, last = (0, 2147483647) if os.getuid() == 0 else (os.getgid(), os.getgid())
        write_setting("ipv4/ping_group_range", f"{first} {last}")
        inside = Links()
        try:
            if is_new:
                inside.raise_loopback()
            near, far = (line.name, line.kernel_index), (INTERFACE, _FAR_INDEX)
            self._links.add_pair(near, far, namespace, self._mtu)
            self._links.add_address(line.kernel_index, line.near, NET_BITS)
            inside.add_address(_FAR_INDEX, line.far, NET_BITS)
            inside.raise_link(_FAR_INDEX)
            inside.add_default_route(_FAR_INDEX, line.near)
        finally:
            inside.close()
