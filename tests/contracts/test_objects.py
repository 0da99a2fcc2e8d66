"""What every store must do with objects that have a name; see `offload.control.ports.objects.ObjectStore`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.objects import an_object

from offload.control.core.objects import ObjectKind, Scope
from offload.control.ports.objects import (
    CreateObject,
    DeleteObjects,
    NoteUse,
    Refusal,
    RenameObject,
    Times,
)

if TYPE_CHECKING:
    from offload.control.ports.store import Store

HERE = Scope()


def test_an_object_comes_back_by_its_name_and_by_its_id(store: Store) -> None:
    made = an_object("cache", app_id="ap-1")

    answers = store.objects.apply([CreateObject(made)])

    assert answers == [made]
    assert store.objects.find(ObjectKind.DICT, HERE, "cache") == made
    assert store.objects.get(made.object_id) == made


def test_a_name_is_made_once_and_found_from_then_on(store: Store) -> None:
    first, second = an_object("cache"), an_object("cache", number=2)

    answers = store.objects.apply([CreateObject(first), CreateObject(second)])

    assert answers == [first, first]
    assert store.objects.get(second.object_id) is None


def test_a_name_means_something_else_in_another_kind_workspace_and_environment(
    store: Store,
) -> None:
    made = [
        an_object("x", number=1),
        replace(an_object("x", number=2), kind=ObjectKind.QUEUE),
        an_object("x", number=3, scope=Scope(environment="prod")),
        an_object("x", number=4, scope=Scope(workspace="physics")),
    ]

    answers = store.objects.apply([CreateObject(each) for each in made])

    assert answers == made
    assert store.objects.find(ObjectKind.DICT, Scope(environment="prod"), "x") == made[2]
    assert store.objects.list(ObjectKind.DICT, Scope(workspace="physics"), "", 10) == [made[3]]


def test_an_id_that_is_taken_is_refused(store: Store) -> None:
    made = an_object("cache")
    store.objects.apply([CreateObject(made)])

    other_name, other_scope, anonymous = store.objects.apply(
        [
            CreateObject(replace(made, name="other")),
            CreateObject(replace(made, scope=Scope("physics"))),
            CreateObject(replace(made, name="")),
        ]
    )

    assert (other_name, other_scope, anonymous) == (Refusal.TAKEN, Refusal.TAKEN, Refusal.TAKEN)


def test_anonymous_objects_are_many_and_a_repeat_finds_its_own(store: Store) -> None:
    first, second = an_object("", number=1), an_object("", number=2)

    answers = store.objects.apply(
        [CreateObject(first), CreateObject(second), CreateObject(replace(first, created_at=9.0))]
    )

    assert answers == [first, second, first]
    assert store.objects.anonymous() == [first, second]
    assert store.objects.find(ObjectKind.DICT, HERE, "") is None
    assert store.objects.list(ObjectKind.DICT, HERE, "", 10) == []


def test_a_renamed_object_keeps_its_id_and_frees_its_name(store: Store) -> None:
    made = an_object("old")
    store.objects.apply([CreateObject(made)])

    answers = store.objects.apply([RenameObject(made.object_id, "new")])

    assert answers == [replace(made, name="new")]
    assert store.objects.find(ObjectKind.DICT, HERE, "old") is None
    assert store.objects.find(ObjectKind.DICT, HERE, "new") == replace(made, name="new")


def test_a_rename_to_a_name_that_is_taken_changes_nothing(store: Store) -> None:
    one, two = an_object("one"), an_object("two", number=2)
    store.objects.apply([CreateObject(one), CreateObject(two)])

    answers = store.objects.apply(
        [RenameObject(one.object_id, "two"), RenameObject("di-none", "two")]
    )

    assert answers == [Refusal.TAKEN, Refusal.GONE]
    assert store.objects.list(ObjectKind.DICT, HERE, "", 10) == [one, two]


def test_a_rename_to_its_own_name_is_a_harmless_repeat(store: Store) -> None:
    made = an_object("cache")
    store.objects.apply([CreateObject(made)])

    assert store.objects.apply([RenameObject(made.object_id, "cache")]) == [made]


def test_a_deleted_object_is_found_by_nobody_and_its_name_is_free(store: Store) -> None:
    made, again = an_object("cache"), an_object("cache", number=2)
    store.objects.apply([CreateObject(made)])

    answers = store.objects.apply([DeleteObjects((made.object_id, "di-none")), CreateObject(again)])

    assert answers == [None, again]
    assert store.objects.get(made.object_id) is None
    while store.objects.collect(Times(0.0, 0.0, 0.0), 10):
        pass
    assert store.objects.list(ObjectKind.DICT, HERE, "", 10) == [again]


def test_objects_are_listed_by_name_in_pages(store: Store) -> None:
    made = [an_object(name, number=number) for number, name in enumerate(("c", "a", "b"))]
    store.objects.apply([CreateObject(each) for each in made])

    first = store.objects.list(ObjectKind.DICT, HERE, "", 2)
    rest = store.objects.list(ObjectKind.DICT, HERE, first[-1].name, 2)

    assert [each.name for each in first] == ["a", "b"]
    assert [each.name for each in rest] == ["c"]


def test_the_last_use_is_what_was_noted_last(store: Store) -> None:
    made = an_object("cache")
    store.objects.apply([CreateObject(made)])

    store.objects.apply([NoteUse((made.object_id, "di-none"), 77.5)])

    assert store.objects.get(made.object_id) == replace(made, last_used_at=77.5)
