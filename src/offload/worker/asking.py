"""What the user code of one container asks of the platform. Nothing it says is trusted.

Who it is comes from which socket it speaks on: a request names a method and nothing else about its sender. What one container
may have under way is bounded in number and in bytes in both directions, so that it can exhaust neither the worker nor the
link that it shares with others.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from offload.wire import guest
from offload.wire.guest import asks
from offload.wire.inside import ALLOWED, EXCHANGE, EXCHANGE_WINDOW, LOCAL, STREAMED, UPLOAD
from offload.wire.status import LinkClosedError, Status, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from offload.worker.ports import Caller, Platform

# Threads and tasks of user code that wait for an answer at the same time.
MAX_ASKS = 2_048
MAX_REQUEST_BYTES = 32 * 1024 * 1024  # under way together
MAX_UNREAD_BYTES = 64 * 1024 * 1024  # answers that the container has not read
# Pieces of an upload that may be on their way from a container; each is at most a chunk of a blob.
UPLOAD_WINDOW = 4
MAX_PIECE_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


class Asks:
    """The requests of one container."""

    def __init__(
        self,
        caller: Caller,
        platform: Platform,
        send: Callable[[guest.Message], None],
        unread_bytes: Callable[[], int],
        kill: Callable[[str], None],
    ) -> None:
        self._caller = caller
        self._platform = platform
        self._send = send
        self._unread_bytes = unread_bytes
        self._kill = kill
        self._asks: dict[int, _Asked] = {}
        self._request_bytes = 0

    def hear(self, message: guest.Message) -> bool:
        """Take a message that is about requests; return whether it is. Raises `guest.GuestProtocolError`."""
        if isinstance(message, asks.Ask):
            self._ask(message)
        elif isinstance(message, asks.AskMore):
            self._more(message)
        elif isinstance(message, asks.Credit):
            known = self._asks.get(message.number)
            if known is not None:
                known.grant(message.messages)
        elif isinstance(message, asks.GiveUp):
            known = self._asks.get(message.number)
            if known is not None and known.task is not None:
                known.task.cancel()
        else:
            return False
        return True

    def close(self) -> None:
        """End all requests. Idempotent."""
        for known in list(self._asks.values()):
            if known.task is not None:
                known.task.cancel()

    def _ask(self, ask: asks.Ask) -> None:
        if ask.number in self._asks:
            raise guest.GuestProtocolError(f"request {ask.number} was made twice")
        refusal = self._why_not(ask)
        if refusal is not None:
            self._answer_error(ask.number, refusal)
            return
        known = self._asks[ask.number] = _Asked(len(ask.data), ask.method == EXCHANGE)
        self._request_bytes += known.size_bytes
        known.task = asyncio.get_running_loop().create_task(self._work(ask, known))

    def _why_not(self, ask: asks.Ask) -> WireError | None:
        if self._caller.is_restricted and ask.method != EXCHANGE:
            return WireError(
                Status.PERMISSION_DENIED,
                f"Function {self._caller.function_name!r} has restrict_platform_access=True: its code may not use functions, "
                "dicts, queues or anything else of the platform. Remove the option, or pass it what it needs.",
            )
        is_known = ask.method in ALLOWED | LOCAL or ask.method == EXCHANGE
        if not is_known or ask.is_open != (ask.method in (UPLOAD, EXCHANGE)):
            return WireError(
                Status.PERMISSION_DENIED,
                f"{ask.method[:100]!r} cannot be asked from inside a container.",
            )
        is_full = len(self._asks) >= MAX_ASKS
        if is_full or self._request_bytes + len(ask.data) > MAX_REQUEST_BYTES:
            return WireError(
                Status.RESOURCE_EXHAUSTED,
                f"This container has {len(self._asks)} requests to the platform under way, and no more fit: "
                f"at most {MAX_ASKS}, of {MAX_REQUEST_BYTES >> 20} MiB together.",
            )
        return None

    def _more(self, more: asks.AskMore) -> None:
        known = self._asks.get(more.number)
        if known is None:
            return  # it has failed, and the container does not know yet
        if len(more.data) > MAX_PIECE_BYTES or known.pieces.qsize() > known.window:
            raise guest.GuestProtocolError(f"request {more.number} sends more than it may")
        known.pieces.put_nowait(None if more.last else more.data)

    async def _work(self, ask: asks.Ask, known: _Asked) -> None:
        try:
            await self._carry(ask, known)
        except LinkClosedError as error:
            # Whether it took effect nobody knows: the container asks again, and by then there is a link.
            self._send(asks.Answer(ask.number, asks.LOST, True, error.message.encode()))
        except WireError as error:
            self._answer_error(ask.number, error)
        except Exception:  # noqa: BLE001  # the container must hear of our bugs, or it waits for ever
            _log.exception("ask_failed %s", ask.method)
            self._answer_error(ask.number, WireError(Status.INTERNAL, "The worker failed at this."))
        finally:
            del self._asks[ask.number]
            self._request_bytes -= known.size_bytes

    async def _carry(self, ask: asks.Ask, known: _Asked) -> None:
        number = ask.number
        if ask.method == EXCHANGE:
            await self._exchange(number, known)
        elif ask.is_open:
            self._send(asks.Credit(number, UPLOAD_WINDOW))
            self._answer(
                number, await self._platform.upload(self._pieces(number, known)), last=True
            )
        elif ask.method in STREAMED:
            replies = self._platform.follow(self._caller, ask.method, ask.data)
            async with aclosing(replies):
                async for reply in replies:
                    self._answer(number, reply, last=False)
                    await known.credit.take()
            self._answer(number, b"", last=True)
        else:
            reply = await self._platform.ask(self._caller, ask.method, ask.data)
            self._answer(number, reply, last=True)

    async def _exchange(self, number: int, known: _Asked) -> None:
        # The credit of both sides goes all the way, so that the worker never keeps more than they have room for.
        self._send(asks.Credit(number, EXCHANGE_WINDOW))
        parts = self._platform.exchange(self._caller, known.exchanged())
        async with aclosing(parts):
            async for part, credit in parts:
                if credit:
                    self._send(asks.Credit(number, credit))
                if part:
                    self._answer(number, part, last=False)
        self._answer(number, b"", last=True)

    async def _pieces(self, number: int, known: _Asked) -> AsyncIterator[bytes]:
        while (piece := await known.pieces.get()) is not None:
            yield piece
            self._send(asks.Credit(number, 1))

    def _answer(self, number: int, data: bytes, *, last: bool) -> None:
        if self._unread_bytes() > MAX_UNREAD_BYTES:
            self._kill("its container asks the platform for more than it reads")
            return
        self._send(asks.Answer(number, int(Status.OK), last, data))

    def _answer_error(self, number: int, error: WireError) -> None:
        self._send(asks.Answer(number, int(error.status), True, error.message.encode()))


class _Asked:
    """One request under way."""

    def __init__(self, size_bytes: int, forwards_credit: bool) -> None:
        self.size_bytes = size_bytes
        self.task: asyncio.Task[None] | None = None
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.credit = _Credit()
        self._forwards_credit = forwards_credit
        self._granted = 0
        # Of an exchange, what says that there is credit stands among the pieces, and what says that they end.
        self.window = EXCHANGE_WINDOW + 1 if forwards_credit else UPLOAD_WINDOW

    def grant(self, messages: int) -> None:
        """Take in the container's credit."""
        if not self._forwards_credit:
            self.credit.grant(messages)
            return
        if not self._granted:
            self.pieces.put_nowait(b"")
        self._granted = min(self._granted + messages, MAX_ASKS)

    async def exchanged(self) -> AsyncIterator[tuple[bytes, int]]:
        """Iterate over what the container sends: parts, and credit for so many."""
        while (piece := await self.pieces.get()) is not None:
            granted, self._granted = self._granted, 0
            if piece or granted:
                yield piece, granted


class _Credit:
    """How many answers the container has room for, beyond the one that is sent."""

    def __init__(self) -> None:
        self._left = 0
        self._more = asyncio.Event()

    def grant(self, messages: int) -> None:
        self._left = min(self._left + messages, MAX_ASKS)
        self._more.set()

    async def take(self) -> None:
        while not self._left:
            self._more.clear()
            await self._more.wait()
        self._left -= 1
