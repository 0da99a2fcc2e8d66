"""One link to the server that is dialled again when it breaks.

Requests that the server recognises when they are repeated go through `repeat`: a break is invisible to the caller
apart from the pause. After `NOTICE_SECONDS` one line on stderr says why nothing happens.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from offload.errors import ConnectionLostError, InvalidError
from offload.sdk.client.refusals import from_wire
from offload.wire.status import LinkClosedError, WireError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from offload.wire.link import Link

T = TypeVar("T")

NOTICE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is and what it asks of its callers."""

    url: str  # "ws://host:port/link" or "wss://…"
    token: str
    tls_ca: Path | None = None

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context for `wss`, None for `ws`. Raises `InvalidError` where the authority cannot be used."""
        if not self.url.startswith("wss:"):
            return None
        import ssl

        try:
            return ssl.create_default_context(cafile=self.tls_ca)
        except OSError as error:
            raise InvalidError(
                f"the TLS authority {self.tls_ca} (OFFLOAD_TLS_CA, or tls_ca in the config file) cannot be used: "
                f"{error.strerror or error}"
            ) from None


class Connection:
    """Dials when the first request is made and whenever the link is gone. Lives on one event loop."""

    is_inside = False  # a container, of which the worker knows who it is

    def __init__(self, find: Callable[[], ServerAddress], give_up_after_seconds: float) -> None:
        self._find = find
        self._give_up_after_seconds = give_up_after_seconds
        self._link: Link | None = None
        self._dialling: asyncio.Task[Link] | None = None
        self._was_connected = False
        self.url = ""  # of the server that was dialled last

    async def link(self) -> Link:
        """Return a link that was open a moment ago. Raises `OffloadError` where there is none to be had."""
        if self._link is not None and not self._link.is_closed:
            return self._link
        if self._dialling is None:
            self._dialling = asyncio.get_running_loop().create_task(self._dial())
            self._dialling.add_done_callback(self._dialled)
        return await asyncio.shield(self._dialling)

    @property
    def open_link(self) -> Link | None:
        """The link, where there has been one; it may be closed."""
        return self._link

    async def repeat(self, attempt: Callable[[Link], Awaitable[T]]) -> T:
        """Make a request, again after each break of the link, until it is answered. Raises `OffloadError`."""
        while True:
            link = await self.link()
            try:
                return await attempt(link)
            except LinkClosedError:
                await link.close()
            except WireError as error:
                raise from_wire(error) from None

    async def close(self) -> None:
        """Close the link; the next request dials again. Idempotent."""
        if self._dialling is not None:
            self._dialling.cancel()
        if self._link is not None:
            await self._link.close()

    def _dialled(self, task: asyncio.Task[Link]) -> None:
        self._dialling = None
        if not task.cancelled() and task.exception() is None:
            self._link = task.result()

    async def _dial(self) -> Link:
        loop = asyncio.get_running_loop()
        began, pause, noticed = loop.time(), 0.02, False
        while True:
            try:
                link = await self._dial_once()
            except LinkClosedError as error:
                waited = loop.time() - began
                if not self._was_connected or waited >= self._give_up_after_seconds:
                    raise ConnectionLostError(self._lost(error.message, waited)) from None
                if waited >= NOTICE_SECONDS and not noticed:
                    noticed = True
                    _say(
                        f"offload: {error.message}; trying again for {self._give_up_after_seconds:g} s"
                    )
            except WireError as error:
                raise from_wire(error) from None
            else:
                if noticed:
                    _say("offload: connected to the server again")
                self._was_connected = True
                return link
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _dial_once(self) -> Link:
        # Inside a container there is no other side to dial, and nothing to dial it with.
        from offload.wire.link import connect

        # Finding may start a local stack and wait for it, so it must not hold up the loop.
        address = await asyncio.get_running_loop().run_in_executor(None, self._find)
        self.url = address.url
        return await connect(address.url, address.token, tls=address.tls)

    def _lost(self, message: str, waited: float) -> str:
        if not self._was_connected:
            return f"{message}. Is the server running, and is OFFLOAD_SERVER_URL right?"
        return (
            f"{message}, for {waited:.0f} s. What the server had accepted goes on when it is back."
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # a person waits for this
