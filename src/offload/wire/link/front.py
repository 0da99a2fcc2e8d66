"""The first bytes of a connection say whether it is a link or an HTTP client; from then on nothing stands in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from offload.wire.link import frames

if TYPE_CHECKING:
    from collections.abc import Callable

_LINK = f"GET {frames.LINK_PATH}".encode()
FIRST_SECONDS = 20.0  # for the first bytes of a connection


class FirstBytes(asyncio.Protocol):
    """Reads until it is clear what the connection is, and hands it over."""

    def __init__(
        self,
        link: Callable[[], asyncio.BaseProtocol],
        other: Callable[[], asyncio.BaseProtocol],
        undecided: set[FirstBytes],
    ) -> None:
        self._link = link
        self._other = other
        self._undecided = undecided
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._undecided.add(self)
        self._timer = asyncio.get_running_loop().call_later(FIRST_SECONDS, self.close)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """See `asyncio.Protocol`."""
        self._decided()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._data += data
        after = self._data[len(_LINK) : len(_LINK) + 1]
        if self._data.startswith(_LINK) and after in (b" ", b"?"):
            self._hand_over(self._link())
        elif after or not _LINK.startswith(self._data):
            self._hand_over(self._other())

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def _decided(self) -> None:
        self._undecided.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self, protocol: asyncio.BaseProtocol) -> None:
        self._decided()
        transport, data = self._transport, self._data
        if transport is None:
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if isinstance(protocol, asyncio.BufferedProtocol):
            while data:
                room = memoryview(protocol.get_buffer(len(data)))
                count = min(len(room), len(data))
                room[:count] = data[:count]
                protocol.buffer_updated(count)
                data = data[count:]
        else:
            cast("asyncio.Protocol", protocol).data_received(data)
