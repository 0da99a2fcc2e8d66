"""Keys of web endpoints on services in memory."""

from __future__ import annotations

import pytest
from tests.support.control_fakes import KnobStore
from tests.support.deploying import PickyWorker, play

from offload.control.core.errors import DomainError
from offload.control.services.assembly import Services


def test_a_key_that_was_refused_does_not_appear_later():
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        await services.web_keys.create("", "mine")

        store.refusal = "the disk is full"
        with pytest.raises(DomainError, match="the disk is full"):
            await services.web_keys.create("", "never told")
        store.refusal = ""

    async def afterwards(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        assert [key.name for key in services.web_keys.list("")] == ["mine"]

    play(scenario, afterwards)
