"""What every store must do with what is in dicts and queues; see `offload.control.ports.contents`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.objects import an_object

from offload.control.core.objects import ObjectKind
from offload.control.ports.contents import (
    ClearDict,
    ClearItems,
    Entry,
    Item,
    PopEntry,
    PutEntries,
    PutItems,
    Request,
    TakeItems,
    TouchEntries,
    Value,
)
from offload.control.ports.objects import CreateObject, DeleteObjects, Refusal, Times

if TYPE_CHECKING:
    from offload.control.ports.store import Store

DICT = an_object("d", number=1)
QUEUE = replace(an_object("q", number=2), object_id="qu-2", kind=ObjectKind.QUEUE)
D, Q = DICT.object_id, QUEUE.object_id
BLOB, OTHER = "b" * 64, "c" * 64


@pytest.fixture(autouse=True)
def made(store: Store) -> None:
    store.objects.apply([CreateObject(DICT), CreateObject(QUEUE)])


def req(name: str, at: float = 100.0, *, repeat: bool = False) -> Request:
    return Request(f"rq-{name}", at, repeat)


def put(name: str, *keys: bytes, value: bytes = b"v", only_new: bool = False, **options: object):
    at = float(str(options.pop("at", 100.0)))
    entries = tuple(Entry(key, value, str(options.get("blob", ""))) for key in keys)
    return PutEntries(D, entries, only_new, req(name, at, repeat=bool(options.get("repeat"))))


def items(name: str, *values: bytes, partition: str = "", **options: object) -> PutItems:
    blob = str(options.get("blob", ""))
    expires_at = float(str(options.get("expires_at", 1000.0)))
    max_items = int(str(options.get("max_items", 100)))
    request = req(name, repeat=bool(options.get("repeat")))
    kept = tuple(Value(value, blob) for value in values)
    return PutItems(Q, partition, kept, expires_at, max_items, request)


def take(name: str, count: int = 1, partition: str = "", **options: object) -> TakeItems:
    size_bytes = int(str(options.get("size_bytes", 10_000)))
    at = float(str(options.get("at", 100.0)))
    request = req(name, at, repeat=bool(options.get("repeat")))
    received = tuple(options.get("received", ()))  # type: ignore[call-overload]
    return TakeItems(Q, partition, count, size_bytes, request, received)


# --- dicts ---


def test_what_was_put_comes_back_and_a_later_value_takes_its_place(store: Store) -> None:
    answers = store.objects.apply([put("1", b"a", b"b"), put("2", b"a", value=b"w")])

    assert answers == [2, 1]
    assert store.objects.entry(D, b"a") == Value(b"w")
    assert store.objects.entry(D, b"b") == Value(b"v")
    assert store.objects.entry(D, b"c") is None
    assert store.objects.entry_count(D) == 2


def test_of_several_who_put_what_is_missing_one_succeeds(store: Store) -> None:
    answers = store.objects.apply(
        [put("1", b"lock", only_new=True), put("2", b"lock", value=b"w", only_new=True)]
    )

    assert answers == [1, 0]
    assert store.objects.entry(D, b"lock") == Value(b"v")


def test_many_entries_in_one_operation_are_all_there(store: Store) -> None:
    keys = [b"%04d" % number for number in range(777)]

    answers = store.objects.apply([put("1", *keys)])

    assert answers == [777]
    assert [e.key for e in store.objects.entries(D, b"", 1000, without_values=True)] == keys


def test_a_popped_entry_is_gone_and_its_value_the_answer(store: Store) -> None:
    store.objects.apply([put("1", b"a", blob=BLOB)])

    answers = store.objects.apply([PopEntry(D, b"a", req("2")), PopEntry(D, b"a", req("3"))])

    assert answers == [Value(b"v", BLOB), None]
    assert store.objects.entry_count(D) == 0


@pytest.mark.parametrize("is_same_transaction", [True, False])
def test_a_repeated_request_is_answered_as_the_first_time_and_changes_nothing(
    store: Store, is_same_transaction: bool
) -> None:
    first = [
        put("lock", b"lock", only_new=True),
        PopEntry(D, b"lock", req("pop")),
        put("other", b"lock", value=b"w"),
    ]
    again = [
        put("lock", b"lock", only_new=True, repeat=True),
        PopEntry(D, b"lock", req("pop", repeat=True)),
        PopEntry(D, b"none", req("new", repeat=True)),
    ]

    if is_same_transaction:
        answers = store.objects.apply([*first, *again])[3:]
    else:
        store.objects.apply(first)
        answers = store.objects.apply(again)

    assert answers == [1, Value(b"v"), None]
    assert store.objects.entry(D, b"lock") == Value(b"w")


def test_entries_come_by_their_keys_in_pages(store: Store) -> None:
    store.objects.apply([put("1", b"c", b"a", b"b")])

    first = store.objects.entries(D, b"", 2, without_values=False)
    rest = store.objects.entries(D, b"b", 2, without_values=True)

    assert first == [Entry(b"a", b"v"), Entry(b"b", b"v")]
    assert rest == [Entry(b"c", b"")]


def test_a_cleared_dict_is_empty(store: Store) -> None:
    store.objects.apply([put("1", b"a"), ClearDict(D)])

    assert store.objects.entry_count(D) == 0


def test_an_object_that_is_not_there_is_gone_for_every_operation(store: Store) -> None:
    store.objects.apply([put("1", b"a"), items("2", b"x"), DeleteObjects((D, Q))])

    answers = store.objects.apply(
        [
            put("3", b"a"),
            PopEntry(D, b"a", req("4")),
            ClearDict(D),
            items("5", b"x"),
            take("6"),
            ClearItems(Q, None),
            TouchEntries(D, (b"a",), 9.0),
        ]
    )

    assert set(answers) == {Refusal.GONE}
    assert store.objects.entry(D, b"a") is None
    assert store.objects.item_count(Q, None, 0.0) == 0


def test_a_deleted_object_takes_what_was_in_it_along(store: Store) -> None:
    store.objects.apply([put("1", b"a", b"b", blob=BLOB), items("2", b"x", b"y", blob=OTHER)])
    store.objects.apply([DeleteObjects((D, Q))])

    while store.objects.collect(Times(0.0, 0.0, 200.0), 1):
        pass

    assert store.objects.blobs_in_use([BLOB, OTHER]) == set()
    store.objects.apply([CreateObject(DICT)])
    assert store.objects.entry_count(D) == 0


def test_entries_that_nobody_used_for_long_go(store: Store) -> None:
    store.objects.apply([put("1", b"old", b"read", at=10.0), put("2", b"new", at=50.0)])
    store.objects.apply([TouchEntries(D, (b"read",), 60.0)])

    while store.objects.collect(Times(0.0, 40.0, 0.0), 10):
        pass

    left = store.objects.entries(D, b"", 10, without_values=True)
    assert [entry.key for entry in left] == [b"new", b"read"]
    found = store.objects.entry(D, b"read")
    assert found is not None
    assert found.used_at == 60.0


# --- queues ---


def test_items_are_taken_in_the_order_they_were_put(store: Store) -> None:
    store.objects.apply([items("1", b"a", b"b"), items("2", b"c")])

    answers = store.objects.apply([take("3"), take("4", 5), take("5")])

    assert answers == [(b"a",), (b"b", b"c"), ()]


def test_many_items_in_one_operation_keep_their_order(store: Store) -> None:
    values = [b"%d" % number for number in range(777)]
    store.objects.apply([items("1", *values, max_items=777)])

    [taken] = store.objects.apply([take("2", 1000)])

    assert taken == tuple(values)


def test_partitions_are_queues_of_their_own(store: Store) -> None:
    store.objects.apply([items("1", b"a", partition="p"), items("2", b"b")])

    answers = store.objects.apply([take("3", 9), take("4", 9, "p"), take("5", 9, "other")])

    assert answers == [(b"b",), (b"a",), ()]


def test_no_more_is_taken_than_fits_but_one_item_always(store: Store) -> None:
    store.objects.apply([items("1", b"x" * 60, b"y" * 60, b"z")])

    answers = store.objects.apply([take("2", 9, size_bytes=10), take("3", 9, size_bytes=61)])

    assert answers == [(b"x" * 60,), (b"y" * 60, b"z")]


def test_items_beyond_what_a_partition_holds_are_refused_together(store: Store) -> None:
    answers = store.objects.apply(
        [items("1", b"a", b"b", max_items=3), items("2", b"c", b"d", max_items=3)]
    )

    assert answers == [True, False]
    assert store.objects.item_count(Q, "", 0.0) == 2


def test_a_refused_put_is_tried_anew_when_it_comes_again(store: Store) -> None:
    store.objects.apply([items("1", b"a", max_items=1), items("2", b"b", max_items=1), take("3")])

    answers = store.objects.apply([items("2", b"b", max_items=1, repeat=True)])

    assert answers == [True]


def test_a_repeated_put_appends_once(store: Store) -> None:
    store.objects.apply([items("1", b"a")])

    assert store.objects.apply([items("1", b"a", repeat=True)]) == [True]
    assert store.objects.item_count(Q, "", 0.0) == 1


def test_a_repeated_take_gives_the_same_items_until_they_are_received(store: Store) -> None:
    store.objects.apply([items("1", b"a", b"b", b"c"), take("2", 2)])

    [again] = store.objects.apply([take("2", 2, repeat=True)])
    [other] = store.objects.apply([take("3", 2, received=("rq-2",))])
    [late] = store.objects.apply([take("2", 2, repeat=True)])

    assert (again, other, late) == ((b"a", b"b"), (b"c",), ())


def test_a_repeat_of_a_take_that_never_came_takes(store: Store) -> None:
    store.objects.apply([items("1", b"a")])

    assert store.objects.apply([take("2", repeat=True)]) == [(b"a",)]


def test_expired_items_are_not_there_for_anybody(store: Store) -> None:
    store.objects.apply([items("1", b"old", expires_at=100.0), items("2", b"new")])

    [taken] = store.objects.apply([take("3", at=100.0)])

    assert taken == (b"new",)
    assert store.objects.item_count(Q, "", 100.0) == 0
    assert store.objects.items(Q, "", 0, 100.0, 10) == []


def test_expired_and_taken_items_are_collected_when_nobody_can_ask_for_them(store: Store) -> None:
    store.objects.apply(
        [
            items("1", b"x", blob=BLOB, expires_at=110.0),
            items("2", b"y", partition="p", blob=OTHER),
            take("3", partition="p"),
        ]
    )

    while store.objects.collect(Times(120.0, 0.0, 90.0), 1):
        pass
    before = store.objects.blobs_in_use([BLOB, OTHER])
    while store.objects.collect(Times(120.0, 0.0, 130.0), 1):
        pass

    assert before == {OTHER}
    assert store.objects.blobs_in_use([BLOB, OTHER]) == set()


def test_items_are_shown_without_being_taken(store: Store) -> None:
    store.objects.apply([items("1", b"a", b"b", b"c"), items("2", b"x", partition="p")])

    first = store.objects.items(Q, "", 0, 0.0, 2)
    rest = store.objects.items(Q, "", first[-1].position, 0.0, 2)

    assert [item.value for item in [*first, *rest]] == [b"a", b"b", b"c"]
    assert isinstance(first[0], Item)
    assert store.objects.item_count(Q, "", 0.0) == 3


def test_a_partition_or_a_whole_queue_is_cleared(store: Store) -> None:
    store.objects.apply([items("1", b"a"), items("2", b"b", partition="p")])

    store.objects.apply([ClearItems(Q, "p")])
    after_one = store.objects.item_count(Q, None, 0.0)
    store.objects.apply([ClearItems(Q, None)])

    assert (after_one, store.objects.item_count(Q, None, 0.0)) == (1, 0)


def test_blobs_of_entries_items_and_kept_answers_are_in_use(store: Store) -> None:
    names = [digit * 64 for digit in "123456"]
    store.objects.apply(
        [
            put("1", b"a", blob=names[0]),
            put("2", b"b", blob=names[1]),
            items("3", b"x", blob=names[2]),
            items("4", b"y", partition="p", blob=names[3]),
            PopEntry(D, b"b", req("5")),
            take("6", partition="p"),
        ]
    )

    assert store.objects.blobs_in_use([*names, ""]) == set(names[:4])
