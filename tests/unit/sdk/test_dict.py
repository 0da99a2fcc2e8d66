"""Dicts, from the SDK down to the server's memory."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import threading

import pytest
from tests.support.objects import object_server

import offload
from offload import errors
from offload.sdk.keys import decode_key, encode_key


@pytest.fixture
def server():
    with object_server() as running:
        yield running


@pytest.fixture
def shared(server):
    return offload.Dict.from_name("shared", create_if_missing=True)


def test_a_value_is_what_was_put_and_a_later_one_takes_its_place(shared):
    shared["a"] = [1, {"b": None}]
    shared.put("a", "later")

    assert shared["a"] == "later"
    assert shared.get("a") == "later"


def test_what_is_missing_is_said_as_a_dict_says_it(shared):
    assert shared.get("a") is None
    assert shared.get("a", 5) == 5
    assert shared.pop("a", "none") == "none"
    assert "a" not in shared
    with pytest.raises(KeyError, match="a"):
        shared["a"]
    with pytest.raises(KeyError):
        shared.pop("a")
    with pytest.raises(KeyError):
        del shared["a"]


def test_none_is_a_value(shared):
    shared["a"] = None

    assert shared["a"] is None
    assert "a" in shared
    assert shared.get("a", 5) is None


def test_entries_go_one_by_one_or_all_at_once(shared):
    shared.update({"a": 1}, b=2)
    shared.update([("c", 3)])

    popped = shared.pop("a")
    del shared["b"]

    assert popped == 1
    assert list(shared.items()) == [("c", 3)]
    shared.clear()
    assert len(shared) == 0


def test_keys_values_and_items_come_in_one_order_and_in_bounded_pages(shared):
    wanted = dict.fromkeys(range(700), "x" * 1000)
    shared.update(wanted)

    assert len(shared) == 700
    assert dict(shared.items()) == wanted
    assert set(shared.keys()) == set(shared) == set(wanted)
    assert list(shared.values()) == list(wanted.values())


def test_a_put_of_what_is_missing_is_a_lock_that_one_of_many_gets(shared):
    taken = []

    def try_to_take(name):
        if shared.put("lock", name, skip_if_exists=True):
            taken.append(name)

    threads = [threading.Thread(target=try_to_take, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken == [shared["lock"]]


def test_a_lock_whose_answer_was_lost_is_held_by_who_asked(server, shared):
    shared.hydrate()
    server.lose_next_answer()

    assert shared.put("lock", "mine", skip_if_exists=True) is True
    assert shared.put("lock", "other", skip_if_exists=True) is False


def test_a_popped_value_whose_answer_was_lost_is_not_lost(server, shared):
    shared["a"] = "once"
    server.lose_next_answer()

    assert shared.pop("a") == "once"
    assert "a" not in shared


def test_a_put_that_was_made_is_not_made_again_over_a_later_one(server, shared):
    shared["a"] = 0
    address = shared.object_id
    server.lose_next_answer()

    shared["a"] = 1
    shared["a"] = 2

    assert (shared["a"], shared.object_id) == (2, address)


def test_everything_is_there_after_a_restart_of_the_server(server, shared):
    shared["a"] = 1

    server.restart()

    assert shared["a"] == 1


def test_values_too_large_for_a_message_travel_as_blobs(shared):
    large = bytes(300_000)

    shared["a"] = large
    shared.update({"b": large, "c": "small"})

    assert shared["a"] == large
    assert shared.pop("b") == large
    assert dict(shared.items()) == {"a": large, "c": "small"}


def test_a_large_value_is_kept_for_as_long_as_an_entry_names_it(server, shared):
    shared["a"] = bytes(300_000)
    [name] = server.store.objects._contents.blobs()

    in_use = server.store.objects.blobs_in_use([name])
    shared["a"] = "small"

    assert in_use == {name}
    assert server.store.objects.blobs_in_use([name]) == set()


def test_reads_of_what_is_known_do_not_touch_the_store(server, shared):
    shared["a"] = 1
    reads = []
    entry = server.store.objects.entry
    server.store.objects.entry = lambda *what: reads.append(what) or entry(*what)

    values = [shared["a"] for _ in range(5)]
    missing = [shared.get("none") for _ in range(5)]

    assert (values, missing) == ([1] * 5, [None] * 5)
    assert len(reads) == 1


def test_a_deleted_dict_refuses_everything_with_the_reason(shared):
    shared["a"] = 1

    offload.Dict.delete("shared")

    for use in (lambda: shared["a"], lambda: shared.put("a", 2), lambda: len(shared)):
        with pytest.raises(errors.NotFoundError, match="it was deleted"):
            use()


def test_a_queue_is_no_dict(server, shared):
    queue = offload.Queue.from_name("jobs", create_if_missing=True)
    shared._reference.known_id = queue.object_id

    with pytest.raises(errors.NotFoundError, match="no dict"):
        shared["a"] = 1


def test_entries_that_are_used_stay_and_others_go(server, shared):
    shared.update(used=1, unused=2)
    day = 86_400

    for _ in range(10):
        server.clock.time += day
        shared.get("used")
        offload.sdk.blocking.run(server.services.retention.collect())

    assert list(shared.keys()) == ["used"]


@pytest.mark.parametrize("key", ["a", 1, 1.5, b"x", None, True, ("a", ("b", 2)), "ü" * 10])
def test_keys_are_equal_where_their_parts_are(key):
    copy = pickle.loads(pickle.dumps(key))  # noqa: S301  # our own

    assert encode_key(key) == encode_key(copy)
    assert decode_key(encode_key(key)) == key


def test_a_key_whose_parts_are_one_object_is_equal_to_one_whose_parts_are_two():
    part, same = (bytes([97, 98]).decode() for _ in range(2))

    assert part is not same
    assert encode_key((part, part)) == encode_key((part, same))


def test_a_key_that_cannot_be_one_is_refused(shared):
    with pytest.raises(errors.InvalidError, match="cannot be the key"):
        shared.get(threading.Lock())
    with pytest.raises(errors.InvalidError, match="16384 bytes"):
        shared["x" * 20_000] = 1


def test_everything_has_an_async_twin(shared):
    async def play():
        await shared.put.aio("a", 1)
        await shared.update.aio({"b": 2})
        return (
            await shared.get.aio("a"),
            await shared.contains.aio("b"),
            await shared.len.aio(),
            [pair async for pair in shared.items.aio()],
            await shared.pop.aio("a"),
            await shared.clear.aio(),
        )

    assert asyncio.run(play()) == (1, True, 2, [("a", 1), ("b", 2)], 1, None)


def test_collecting_leaves_what_an_entry_names_and_takes_what_none_does(server, shared):
    kept, dropped = bytes(300_000), bytes(300_001)
    shared.update(kept=kept, dropped=dropped)
    shared["dropped"] = "small"

    server.clock.time += 2 * 3600
    offload.sdk.blocking.run(server.services.retention.collect())

    assert shared["kept"] == kept
    names = [hashlib.sha256(pickle.dumps(value, 5)).hexdigest() for value in (kept, dropped)]
    missing = offload.sdk.blocking.run(server.services.blobs.missing(names))
    assert missing == names[1:]
