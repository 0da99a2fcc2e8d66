"""Exchanges between the server and a container that need not keep to anything."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from tests.support.web_scene import Scene, play

from offload.control.frontends.rpc.web import WebHandlers
from offload.control.frontends.web.routes import Routes
from offload.wire.gen import web_pb2
from offload.wire.guest import web
from offload.wire.rpc import RequestContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class LongRequest:
    """See `Party`. Has more than anybody could take."""

    function_id = "fu-1"

    def __init__(self) -> None:
        self.taken = 0

    async def take(self, part: bytes) -> None:
        """See `Party`."""

    async def parts(self) -> AsyncIterator[bytes]:
        """See `Party`."""
        for _ in range(100_000):
            self.taken += 1
            yield web.encode_part(web.Body(b"x", False))

    def end(self, *, is_broken: bool) -> None:
        """See `Party`."""


def test_a_container_gets_no_more_than_a_few_parts_at_once_whatever_it_has_room_for():
    async def scenario(scene: Scene):
        party = LongRequest()
        scene.services.exchanges.add("in-1", party)

        async def asked() -> AsyncIterator[web_pb2.WebPart]:
            yield web_pb2.WebPart(container_id="co-1", function_id="fu-1")
            yield web_pb2.WebPart(part=web.encode_part(web.Open("in-1")), credit=50_000)
            yield web_pb2.WebPart(credit=50_000)
            await asyncio.Event().wait()

        handlers = WebHandlers(scene.services, Routes(list, lambda: 0))
        replies = handlers.exchange(asked(), RequestContext("", "link"))
        async with aclosing(replies):
            await anext(replies)
            await anext(replies)
            taken = party.taken

        assert 0 < taken < 1_000

    play(scenario)
