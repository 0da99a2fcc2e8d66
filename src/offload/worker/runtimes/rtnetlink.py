"""What the gateway asks of the kernel about links, addresses and routes (rtnetlink), without starting a program for each."""

from __future__ import annotations

import os
import socket
import struct

_NEWLINK, DELLINK, _NEWADDR, _GETADDR, _NEWROUTE = 16, 17, 20, 22, 24
_REQUEST, _ACK, _DUMP, _CREATE_EXCLUSIVE = 1, 4, 0x300, 0x600
_ERROR, _DONE = 2, 3
_IFNAME, _MTU, _LINKINFO, _NET_NS_FD = 3, 4, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_GATEWAY = 4, 5
_UP = 1
_MAIN_TABLE, _STATIC, _UNICAST = 254, 4, 1
_BUFFER_BYTES = 64 * 1024

LINK_GROUP, ADDRESS_GROUP = 1, 0x10  # bits of what one may listen to


def _attribute(kind: int, data: bytes) -> bytes:
    size = len(data) + 4
    return struct.pack("HH", size, kind) + data + bytes(-size % 4)


def _link(index: int = 0, flags: int = 0) -> bytes:
    return struct.pack("BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _name(text: str) -> bytes:
    return _attribute(_IFNAME, text.encode() + b"\0")


class Links:
    """A connection to the kernel about the network namespace that the calling thread is in, for good."""

    def __init__(self, groups: int = 0) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.socket.bind((0, groups))
        self._sequence = 0

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def raise_loopback(self) -> None:
        """Bring the namespace's own loopback up."""
        self.raise_link(socket.if_nametoindex("lo"))

    def raise_link(self, index: int) -> None:
        """Bring a link up."""
        self._ask(_NEWLINK, 0, _link(index, _UP))

    def add_pair(
        self, near: tuple[str, int], far: tuple[str, int], far_namespace: int, mtu: int
    ) -> None:
        """Make a pair of links: `near`, up, here, and `far` in another namespace; each a name and an index."""
        size = _attribute(_MTU, struct.pack("I", mtu))
        namespace = _attribute(_NET_NS_FD, struct.pack("I", far_namespace))
        peer = _attribute(_VETH_PEER, _link(far[1]) + _name(far[0]) + size + namespace)
        kind = _attribute(_INFO_KIND, b"veth") + _attribute(_INFO_DATA, peer)
        body = _link(near[1], _UP) + _name(near[0]) + size + _attribute(_LINKINFO, kind)
        self._ask(_NEWLINK, _CREATE_EXCLUSIVE, body)

    def add_address(self, index: int, address: str, bits: int) -> None:
        """Give a link an IPv4 address."""
        raw = socket.inet_aton(address)
        body = struct.pack("BBBBi", socket.AF_INET, bits, 0, 0, index)
        both = _attribute(_IFA_LOCAL, raw) + _attribute(_IFA_ADDRESS, raw)
        self._ask(_NEWADDR, _CREATE_EXCLUSIVE, body + both)

    def add_default_route(self, index: int, gateway: str) -> None:
        """Send everything else through a link to `gateway`."""
        body = struct.pack(
            "BBBBBBBBI", socket.AF_INET, 0, 0, 0, _MAIN_TABLE, _STATIC, 0, _UNICAST, 0
        )
        to = _attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
        through = _attribute(_RTA_OIF, struct.pack("i", index))
        self._ask(_NEWROUTE, _CREATE_EXCLUSIVE, body + to + through)

    def addresses(self) -> list[str]:
        """Return the IPv4 addresses of all links."""
        found = []
        for body in self._ask(_GETADDR, _DUMP, struct.pack("BBBBi", socket.AF_INET, 0, 0, 0, 0)):
            for kind, data in _attributes(body[8:]):
                if kind == _IFA_LOCAL:
                    found.append(socket.inet_ntoa(data))
        return found

    def read_events(self) -> list[tuple[int, str]]:
        """Return what has happened to links since the last time, as a kind and a link's name."""
        try:
            data = self.socket.recv(_BUFFER_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        events = []
        for kind, body in _messages(data):
            names = [value for number, value in _attributes(body[16:]) if number == _IFNAME]
            events += [(kind, name.rstrip(b"\0").decode()) for name in names]
        return events

    def _ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        self._sequence += 1
        head = struct.pack(
            "IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, self._sequence, 0
        )
        self.socket.send(head + body)
        answers: list[bytes] = []
        while True:
            for answered, content in _messages(self.socket.recv(_BUFFER_BYTES)):
                if answered == _DONE:
                    return answers
                if answered == _ERROR:
                    number = -struct.unpack("i", content[:4])[0]
                    if number:
                        raise OSError(number, f"rtnetlink request {kind}: {os.strerror(number)}")
                    return answers
                answers.append(content)


def _messages(data: bytes) -> list[tuple[int, bytes]]:
    messages = []
    while len(data) >= 16:
        size, kind = struct.unpack("IH", data[:6])
        messages.append((kind, data[16:size]))
        data = data[size + -size % 4 :]
    return messages


def _attributes(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while len(data) >= 4:
        size, kind = struct.unpack("HH", data[:4])
        found.append((kind, data[4:size]))
        data = data[max(4, size + -size % 4) :]
    return found
