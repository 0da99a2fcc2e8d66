"""Group commit: order, grouping, and what a full disk does."""

import asyncio

import pytest
from tests.support.control_fakes import KnobStore

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.ports.records import EndApp, SaveApp
from offload.control.services.journal import Journal

FULL = "The disk is full: make room."


def _app(number: int) -> SaveApp:
    return SaveApp(f"ap-{number}", f"app{number}", float(number))


def _journal(store: KnobStore) -> Journal:
    return Journal(store, lambda _seconds, _records: None, retry_seconds=0.001)


def test_a_durable_write_returns_after_its_record_is_in_the_store() -> None:
    async def scenario() -> None:
        store = KnobStore()
        journal = _journal(store)

        await journal.durable((_app(1),))

        assert store.app("ap-1") is not None
        await journal.close()

    asyncio.run(scenario())


def test_what_gathers_during_a_commit_goes_into_one_transaction() -> None:
    async def scenario() -> None:
        store = KnobStore()
        store.gate.clear()
        journal = _journal(store)
        first = asyncio.ensure_future(journal.durable((_app(0),)))
        for _ in range(3):
            await asyncio.sleep(0)

        rest = [asyncio.ensure_future(journal.durable((_app(n),))) for n in range(1, 50)]
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(first, *rest)

        assert [len(commit) for commit in store.commits] == [1, 49]
        await journal.close()

    asyncio.run(scenario())


def test_a_refused_durable_write_says_why_and_is_kept() -> None:
    async def scenario() -> None:
        store = KnobStore()
        store.refusal = FULL
        journal = _journal(store)

        with pytest.raises(DomainError) as refusal:
            await journal.durable((_app(1),))

        assert refusal.value.code is ErrorCode.RESOURCE_EXHAUSTED
        assert refusal.value.message == FULL
        with pytest.raises(DomainError):
            journal.require_working()
        store.refusal = ""
        assert await journal.close() == 0
        assert store.app("ap-1") is not None

    asyncio.run(scenario())


def test_records_keep_their_order_over_a_refusal() -> None:
    async def scenario() -> None:
        store = KnobStore()
        store.refusal = FULL
        journal = _journal(store)
        seen: list[str] = []
        journal.write((_app(1),))
        journal.after_commit(lambda: seen.append("first"))
        with pytest.raises(DomainError):
            await journal.flush()

        journal.write((EndApp("ap-1", 5.0),))
        journal.after_commit(lambda: seen.append("second"))
        store.refusal = ""
        assert await journal.close() == 0

        stored = store.app("ap-1")
        assert stored is not None
        assert stored.stopped_at == 5.0
        assert seen == ["first", "second"]

    asyncio.run(scenario())


def test_an_action_waits_for_the_commit_of_what_came_before_it() -> None:
    async def scenario() -> None:
        store = KnobStore()
        store.gate.clear()
        journal = _journal(store)
        seen: list[str] = []
        journal.write((_app(1),))
        journal.after_commit(lambda: seen.append("written"))
        await asyncio.sleep(0)

        assert seen == []
        store.gate.set()
        await journal.flush()

        assert seen == ["written"]
        journal.after_commit(lambda: seen.append("at once"))
        assert seen == ["written", "at once"]
        await journal.close()

    asyncio.run(scenario())


def test_closing_says_how_many_records_could_not_be_written() -> None:
    async def scenario() -> None:
        store = KnobStore()
        store.refusal = FULL
        journal = _journal(store)
        journal.write((_app(1), _app(2)))

        assert await journal.close(timeout_seconds=0.0) == 2

    asyncio.run(scenario())
