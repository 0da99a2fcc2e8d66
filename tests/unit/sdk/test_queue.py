"""Queues, from the SDK down to the server's memory."""

from __future__ import annotations

import asyncio
import queue
from dataclasses import replace

import pytest
from tests.support.objects import object_server

import offload
from offload import errors
from offload.control.services.contents import Request, Value
from offload.control.services.queues import _Waiting, new_put, new_take
from offload.sdk.blocking import run


@pytest.fixture
def server():
    with object_server(queue_items=10) as running:
        yield running


@pytest.fixture
def jobs(server):
    return offload.Queue.from_name("jobs", create_if_missing=True)


def waiting(server):
    lines = server.services.queues._for_items.values()
    return sum(each.is_waiting for line in lines for each in line.waiting)


async def until(is_so):
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110  # of a whole server in the other loop
            await asyncio.sleep(0.001)


def test_first_in_is_first_out(jobs):
    jobs.put("a")
    jobs.put_many(["b", "c", "d"])

    assert [jobs.get(), jobs.get()] == ["a", "b"]
    assert jobs.get_many(10) == ["c", "d"]


def test_an_empty_queue_says_so_as_the_standard_library_does(jobs):
    with pytest.raises(queue.Empty):
        jobs.get(block=False)
    with pytest.raises(queue.Empty):
        jobs.get(timeout=0.01)
    with pytest.raises(queue.Empty):
        jobs.get_many(3, timeout=0)


def test_a_full_queue_says_so_as_the_standard_library_does(jobs):
    jobs.put_many(range(9))

    with pytest.raises(queue.Full):
        jobs.put_many(["x", "y"], block=False)
    with pytest.raises(queue.Full):
        jobs.put_many(["x", "y"], timeout=0.01)
    assert jobs.len() == 9
    with pytest.raises(errors.InvalidError, match="a partition holds 10"):
        jobs.put_many(range(11))


def test_a_put_waits_for_room(jobs):
    jobs.put_many(range(10))

    async def play():
        putting = asyncio.create_task(jobs.put.aio("late"))
        taken = [await jobs.get.aio() for _ in range(10)]
        await putting
        return taken, await jobs.get.aio()

    assert asyncio.run(play()) == (list(range(10)), "late")


def test_partitions_are_queues_of_their_own(jobs):
    jobs.put("x", partition="p")
    jobs.put("y")

    assert (jobs.len(partition="p"), len(jobs), jobs.len(total=True)) == (1, 1, 2)
    assert (jobs.get(), jobs.get(partition="p")) == ("y", "x")


def test_a_partition_or_the_whole_queue_is_cleared(jobs):
    for partition in ("p", "q", None):
        jobs.put(1, partition=partition)

    jobs.clear(partition="p")
    after_one = jobs.len(total=True)
    jobs.clear(all=True)

    assert (after_one, jobs.len(total=True)) == (2, 0)


def test_items_expire_each_after_its_own_time(server, jobs):
    jobs.put("short", ttl=10)
    jobs.put("long", ttl=100)

    server.clock.time += 50

    assert len(jobs) == 1
    assert jobs.get() == "long"


def test_iterating_takes_nothing_away(jobs):
    jobs.put_many(range(5))

    assert list(jobs.iterate()) == list(range(5))
    assert list(jobs.iterate(partition="none")) == []
    assert len(jobs) == 5


def test_iterating_waits_for_items_that_come_in_time(jobs):
    async def play():
        seen = []
        async for item in jobs.iterate.aio(item_poll_timeout=0.3):
            seen.append(item)
            if item < 3:
                await jobs.put.aio(item + 1)
        return seen

    jobs.put(1)

    assert asyncio.run(play()) == [1, 2, 3]


def test_a_blocked_get_wakes_when_an_item_comes(server, jobs):
    async def play():
        getting = asyncio.create_task(jobs.get.aio())
        await until(lambda: waiting(server) == 1)
        await jobs.put.aio("now")
        return await getting

    assert asyncio.run(play()) == "now"


def test_those_who_wait_are_served_in_the_order_they_came(server, jobs):
    async def play():
        getting = []
        for number in range(5):
            getting.append(asyncio.create_task(jobs.get.aio()))
            await until(lambda: waiting(server) == number + 1)  # noqa: B023  # at once
        await jobs.put_many.aio(range(5))
        return await asyncio.gather(*getting)

    assert asyncio.run(play()) == list(range(5))


def test_a_thousand_blocked_gets_cost_nothing_and_one_item_wakes_one_of_them(server, jobs):
    async def play():
        getting = [asyncio.create_task(jobs.get.aio()) for _ in range(1000)]
        await until(lambda: waiting(server) == 1000)
        before = server.store.objects.transactions
        await asyncio.sleep(0.2)
        idle = server.store.objects.transactions - before
        await jobs.put.aio("one")
        done, rest = await asyncio.wait(getting, return_when=asyncio.FIRST_COMPLETED)
        spent = server.store.objects.transactions - before
        for task in rest:
            task.cancel()
        return [task.result() for task in done], idle, spent

    items, idle, spent = asyncio.run(play())

    assert (items, idle) == (["one"], 0)
    assert spent == 1  # of the put, and of the get that it woke


def test_who_stops_waiting_takes_nothing(server, jobs):
    async def play():
        first = asyncio.create_task(jobs.get.aio())
        await until(lambda: waiting(server) == 1)
        second = asyncio.create_task(jobs.get.aio())
        await until(lambda: waiting(server) == 2)
        first.cancel()
        await until(lambda: waiting(server) == 1)
        await jobs.put.aio("x")
        return await second

    assert asyncio.run(play()) == "x"


def test_a_blocked_get_survives_a_restart_of_the_server(server, jobs):
    async def play():
        getting = asyncio.create_task(jobs.get.aio())
        await until(lambda: waiting(server) == 1)
        await asyncio.to_thread(server.restart)
        await until(lambda: waiting(server) == 1)
        await jobs.put.aio("after")
        return await getting

    assert asyncio.run(play()) == "after"


def test_an_item_whose_answer_was_lost_is_not_lost(server, jobs):
    jobs.put_many(["a", "b"])
    server.lose_next_answer()

    assert [jobs.get(), jobs.get()] == ["a", "b"]
    assert len(jobs) == 0


def test_a_put_whose_answer_was_lost_is_there_once(server, jobs):
    jobs.hydrate()
    server.lose_next_answer()

    jobs.put_many(["a", "b"])

    assert jobs.get_many(10) == ["a", "b"]


def test_items_too_large_for_a_message_travel_as_blobs(server, jobs):
    large = bytes(300_000)

    jobs.put_many([large, "small"])

    assert jobs.get_many(2) == [large, "small"]


def test_what_no_message_holds_comes_in_several(jobs):
    items = [bytes([number]) * 60_000 for number in range(10)]
    many = items * 1
    jobs.put_many(many)

    assert jobs.get_many(100) == many


def test_everything_is_there_after_a_restart_of_the_server(server, jobs):
    jobs.put_many([1, 2])
    first = jobs.get()

    server.restart()

    assert (first, jobs.get_many(5)) == (1, [2])


def test_what_was_received_need_not_be_kept(server, jobs):
    jobs.put_many([1, 2])
    jobs.get()

    jobs.get()

    kept = [item for item in server.store.objects._contents._items[jobs.object_id] if item.taken]
    assert len(kept) == 1


def test_waiting_at_a_queue_that_is_deleted_ends_with_the_reason(server, jobs):
    async def play():
        getting = asyncio.create_task(jobs.get.aio())
        await until(lambda: waiting(server) == 1)
        await offload.Queue.delete.aio("jobs")
        await getting

    with pytest.raises(errors.NotFoundError, match="it was deleted"):
        asyncio.run(play())


@pytest.mark.parametrize(
    "use",
    [
        lambda jobs: jobs.get(timeout=-1),
        lambda jobs: jobs.put(1, ttl=0),
        lambda jobs: jobs.put(1, ttl=10**9),
        lambda jobs: jobs.get_many(0),
        lambda jobs: jobs.put(1, partition="p" * 65),
        lambda jobs: jobs.put(1, partition=3),
        lambda jobs: jobs.get(partition=3, block=False),
        lambda jobs: jobs.len(partition=3),
        lambda jobs: jobs.clear(partition="p", all=True),
        lambda jobs: list(jobs.iterate(item_poll_timeout=-1)),
    ],
    ids=[
        "timeout",
        "ttl",
        "long ttl",
        "count",
        "partition",
        "number put",
        "number get",
        "number len",
        "clear",
        "poll",
    ],
)
def test_what_cannot_be_meant_is_refused(jobs, use):
    with pytest.raises(errors.InvalidError):
        use(jobs)


def test_a_time_that_is_too_long_is_told_as_a_person_writes_it(jobs):
    with pytest.raises(
        errors.InvalidError, match=r"ttl of 9999999 s .* at most 2592000 s, 30 days"
    ):
        jobs.put(1, ttl=9_999_999)


def test_who_is_woken_and_gone_before_its_try_has_ended_wakes_the_next():
    tries = []

    async def play():
        loop = asyncio.get_running_loop()

        def again():
            tries.append(loop.create_future())
            return tries[-1]

        lines = {}
        place = ("qu-1", "")

        async def wait():
            with _Waiting(lines, place, again) as waiting:
                return await waiting.until(None, lambda answer: answer)

        first, second = (asyncio.create_task(wait()) for _ in range(2))
        await asyncio.sleep(0)
        for each in tries:
            each.set_result(())
        await until(lambda: sum(each.is_waiting for each in lines[place].waiting) == 2)
        lines[place].wake(1)
        first.cancel()
        await until(lambda: len(tries) == 4)
        tries[3].set_result("item")
        return await second

    assert asyncio.run(play()) == "item"


def test_a_get_that_comes_again_takes_the_place_of_the_one_whose_link_is_dead(server, jobs):
    queues = server.services.queues

    async def play():
        first = new_take(jobs._reference.known_id, "", 1, Request("rq-1", 0.0), ())
        again = replace(first, request=Request("rq-1", 0.0, is_repeat=True))
        old = asyncio.create_task(queues.take(first, -1.0))
        await until(lambda: waiting(server) == 1)
        new = asyncio.create_task(queues.take(again, -1.0))
        nothing = await old
        await until(lambda: waiting(server) == 1)
        item = new_put(
            first.object_id, "", [Value(b"item")], 10.0, Request("rq-2", server.clock.time)
        )
        await queues.put(item, 0.0)
        return nothing, await new

    jobs.hydrate()

    assert run(play()) == ((), (b"item",))
