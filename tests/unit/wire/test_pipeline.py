"""Slow steps beside a stream of chunks."""

import asyncio

import pytest

from offload.wire.limits import BATCH_BYTES
from offload.wire.pipeline import WriteBehind, read_ahead


class SlowFile:
    """Finishes a write only when it is told to."""

    def __init__(self):
        self.batches = []
        self.go_on = asyncio.Semaphore(0)

    async def write(self, batch):
        await self.go_on.acquire()
        self.batches.append(batch)


def test_chunks_that_come_during_a_write_go_out_together_and_in_order():
    async def scenario():
        file = SlowFile()
        behind = WriteBehind(file.write)

        for chunk in (b"a", b"b", b"c"):
            await behind.add(chunk)
        file.go_on.release()
        file.go_on.release()
        await behind.flush()

        assert file.batches == [[b"a"], [b"b", b"c"]]

    asyncio.run(scenario())


def test_a_sender_waits_where_a_whole_batch_is_unwritten():
    async def scenario():
        file = SlowFile()
        behind = WriteBehind(file.write)
        await behind.add(b"first")

        adding = asyncio.ensure_future(behind.add(bytes(BATCH_BYTES)))
        await asyncio.wait([adding], timeout=0)
        waited = not adding.done()
        file.go_on.release()
        await adding
        file.go_on.release()
        await behind.flush()

        assert waited

    asyncio.run(scenario())


def test_a_write_that_fails_is_told_to_the_sender():
    async def scenario():
        async def fail(batch):
            raise OSError(28, "No space left on device")

        behind = WriteBehind(fail)
        await behind.add(b"x")

        with pytest.raises(OSError, match="No space left"):
            await behind.flush()

    asyncio.run(scenario())


def test_what_is_abandoned_is_not_written_and_no_write_goes_on():
    async def scenario():
        file = SlowFile()
        behind = WriteBehind(file.write)
        await behind.add(b"a")
        await behind.add(b"b")

        file.go_on.release()
        await behind.abandon()

        assert file.batches == [[b"a"]]

    asyncio.run(scenario())


def test_reading_ahead_yields_everything_in_order():
    async def scenario():
        pieces = [b"1", b"2", b"3"]

        async def read():
            return pieces.pop(0) if pieces else b""

        assert [piece async for piece in read_ahead(read)] == [b"1", b"2", b"3"]

    asyncio.run(scenario())


def test_giving_up_waits_for_the_read_under_way():
    async def scenario():
        reads = []

        async def read():
            reads.append("begun")
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0)
            reads.append("done")
            return b"x"

        pieces = read_ahead(read)
        await anext(pieces)
        await pieces.aclose()

        assert reads.count("begun") == reads.count("done") == 2

    asyncio.run(scenario())
