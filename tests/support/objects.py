"""Objects with a name, and a server that keeps them, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.support.control_fakes import SettableClock, outside

from offload.control.core.objects import PREFIX_OF, ObjectKind, Scope, StoredObject
from offload.control.frontends.link.server import listen
from offload.control.frontends.rpc.handlers import handlers
from offload.control.frontends.web.server import web_server
from offload.control.services.assembly import Services, start
from offload.control.stores.memory import MemoryStore
from offload.control.stores.memory.objects import MemoryObjects
from offload.sdk.blocking import background_loop, run
from offload.sdk.client import Client, ServerAddress
from offload.sdk.session import use_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from offload.control.ports.objects import Answer, Operation
    from offload.wire.link import LinkServer

TOKEN = "test-token"  # noqa: S105  # of this test server alone


def an_object(
    name: str,
    *,
    number: int = 1,
    scope: Scope = Scope(),  # noqa: B008  # frozen
    app_id: str = "",
) -> StoredObject:
    """Return a dict."""
    object_id = f"{PREFIX_OF[ObjectKind.DICT]}{number:026}"
    return StoredObject(object_id, ObjectKind.DICT, scope, name, 10.0, 10.0, app_id)


def a_secret(name: str, *, number: int = 1) -> StoredObject:
    """Return a secret, without what is in it."""
    object_id = f"{PREFIX_OF[ObjectKind.SECRET]}{number:026}"
    return StoredObject(object_id, ObjectKind.SECRET, Scope(), name, 10.0, 10.0)


class LossyObjects(MemoryObjects):
    """Objects in memory; the next answers can be lost on their way."""

    def __init__(self) -> None:
        super().__init__()
        self.lose: Callable[[], None] | None = None  # breaks the connections; called once
        self.transactions = 0

    def apply(self, operations: Sequence[Operation]) -> Sequence[Answer]:
        answers = super().apply(operations)
        self.transactions += 1
        lose, self.lose = self.lose, None
        if lose is not None:
            lose()
        return answers


@dataclass
class ObjectServer:
    """A whole server in memory, in the SDK's own thread."""

    store: MemoryStore
    clock: SettableClock
    services: Services
    link: LinkServer
    knobs: dict[str, float]

    def restart(self) -> None:
        """End it, and start another one on the same store and port."""
        port = self.link.port
        run(_close(self.services, self.link))
        self.services, self.link = run(_start(self.store, self.clock, port, self.knobs))

    def lose_next_answer(self) -> None:
        """Have the next change be made, and every connection break before anybody is told."""
        self.store.objects.lose = self._break_from_elsewhere

    def _break_from_elsewhere(self) -> None:
        asyncio.run_coroutine_threadsafe(self._listen_again(), background_loop()).result(10)

    def break_links(self) -> None:
        """Break every connection, and listen again."""
        run(self._listen_again())

    async def _listen_again(self) -> None:
        port = self.link.port
        await self.link.close()
        self.link = await _listen(self.services, port)


@contextlib.contextmanager
def object_server(lease_seconds: float = 30.0, queue_items: int = 1000) -> Iterator[ObjectServer]:
    """Start a server and make it the one that the SDK uses."""
    store, clock = MemoryStore(), SettableClock()
    store.objects = LossyObjects()
    knobs = {"lease_seconds": lease_seconds, "queue_items": queue_items}
    services, link = run(_start(store, clock, 0, knobs))
    server = ObjectServer(store, clock, services, link, knobs)
    address = ServerAddress(f"ws://127.0.0.1:{link.port}/link", TOKEN)
    client = Client(lambda: address, 10.0)
    before = use_client(client)
    try:
        yield server
    finally:
        run(client.close())
        use_client(before)
        run(_close(server.services, server.link))


async def _start(
    store: MemoryStore, clock: SettableClock, port: int, knobs: dict[str, float]
) -> tuple[Services, LinkServer]:
    assert asyncio.get_running_loop() is background_loop()
    services = await start(replace(outside(store, clock), **knobs))
    return services, await _listen(services, port)


async def _listen(services: Services, port: int) -> LinkServer:
    web = web_server(services, TOKEN, "", "public")
    return await listen(
        services, handlers(services), ("127.0.0.1", port), TOKEN, None, web.protocol
    )


async def _close(services: Services, link: LinkServer) -> None:
    await link.close()
    await services.close()
