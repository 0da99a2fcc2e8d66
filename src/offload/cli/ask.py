"""Asking the server: one connection per command, and the refusals as errors of the command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from offload.cli.exits import CliError, Exit
from offload.errors import OffloadError
from offload.sdk.stack import find_server
from offload.wire.link import Link, connect
from offload.wire.status import LinkClosedError, Status, WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

M = TypeVar("M", bound=Message)
T = TypeVar("T")

_CODES = {
    Status.NOT_FOUND: Exit.NOT_FOUND,
    Status.OUT_OF_RANGE: Exit.NOT_FOUND,  # a call whose results are no longer kept
    Status.INVALID_ARGUMENT: Exit.USAGE,
}


def ask(method: str, request: Message, reply: type[M]) -> M:
    """Make one request ("Calls/Cancel") and return its reply. Raises `CliError`."""
    return talk(lambda link: link.unary(f"offload.v1.{method}", request, reply))


def talk(conversation: Callable[[Link], Awaitable[T]]) -> T:
    """Connect to the server that the settings name, never starting one, and have `conversation` with it."""
    return asyncio.run(_talk(conversation))


async def _talk(conversation: Callable[[Link], Awaitable[T]]) -> T:
    try:
        address = find_server(start=False)
        tls = address.tls
    except OffloadError as error:
        raise CliError(str(error), Exit.SERVER) from None
    try:
        link = await connect(address.url, address.token, tls=tls)
        try:
            return await conversation(link)
        finally:
            await link.close()
    except LinkClosedError as error:
        raise CliError(f"{error.message}.", Exit.SERVER) from None
    except WireError as error:
        raise CliError(error.message, _CODES.get(error.status, Exit.SERVER)) from None
