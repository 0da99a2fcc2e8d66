"""The one client of a process, made for the configured server when it is first needed."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from offload.sdk.client import Client
from offload.sdk.config import read_config
from offload.wire import guest

if TYPE_CHECKING:
    from offload.sdk.stack import Finder

_current: Client | None = None
_finder: Finder | None = None


def current_client() -> Client:
    """Return this process's client; it connects, and starts a local stack where none is configured, on first use."""
    global _current  # noqa: PLW0603  # one connection per process
    if _current is None:
        _current = new_client()
    return _current


def new_client() -> Client:
    """Return a client for the server that is configured now; inside a container, one that asks its worker."""
    if guest.find_platform is not None:
        return Client.inside(guest.find_platform)
    return Client(_find_by(), read_config().give_up_after_seconds)


def _find_by() -> Finder:
    global _finder  # noqa: PLW0603  # one per process
    if _finder is None:
        from offload.sdk.stack import Finder  # noqa: PLC0415  # containers have no use for it

        _finder = Finder()
    return _finder


async def mend_stack() -> None:
    """Start the worker of the local stack again, where this program uses one that has died. Raises `OffloadError`."""
    await asyncio.get_running_loop().run_in_executor(None, _find_by().mend)


def use_client(client: Client | None) -> Client | None:
    """Make another client this process's; return the one before. None: decide anew on the next use."""
    global _current  # one connection per process
    before, _current = _current, client
    return before


def _forget_client() -> None:
    use_client(None)  # the parent's connection is not the forked child's


os.register_at_fork(after_in_child=_forget_client)
