"""How the registry of objects ends: nothing is left half done, and nobody waits for an answer that never comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.control_fakes import KnobStore, SettableClock, outside
from tests.support.leaping import LeapingLoop, leaping_loop

from offload.control.core.errors import DomainError
from offload.control.core.objects import ObjectKind, Scope
from offload.control.ports.objects import DeleteObjects
from offload.control.services.assembly import Services, start
from offload.control.services.objects import Wanted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ANONYMOUS = Wanted(ObjectKind.DICT, Scope(), "", create_if_missing=True)


def play(scenario: Callable[[Services, KnobStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = KnobStore()
        await scenario(await start(outside(store, SettableClock())), store)

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(run())


def test_objects_whose_lease_has_just_run_out_are_gone_when_their_registry_is_closed() -> None:
    async def scenario(services: Services, store: KnobStore) -> None:
        await services.objects.open(ANONYMOUS)
        await leaping_loop().leap(services.objects.lease_seconds)

        await services.objects.close()

        assert store.objects.anonymous() == []
        await services.close()

    play(scenario)


def test_who_asks_for_a_change_when_all_is_closed_is_refused() -> None:
    async def scenario(services: Services, _: KnobStore) -> None:
        await services.close()

        with pytest.raises(DomainError, match="ending"):
            await services.object_writing.answer(DeleteObjects(("di-1",)))

    play(scenario)
