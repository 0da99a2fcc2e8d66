"""What every store must do with what is in secrets; see `offload.control.ports.sealed`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.objects import a_secret

from offload.control.core.objects import ObjectKind, Scope
from offload.control.ports.objects import CreateObject, DeleteObjects, Refusal, RenameObject
from offload.control.ports.sealed import PutSecret, Reseal, Sealed

if TYPE_CHECKING:
    from offload.control.ports.store import Store

MADE = a_secret("db", number=1)
SEALED = Sealed(("PASSWORD", "USER"), "k1", b"\0box", 10.0)


def put(store: Store, made=MADE, sealed: Sealed = SEALED):
    return store.objects.apply([PutSecret(made, sealed)])


def test_a_secret_is_made_together_with_what_is_in_it(store: Store) -> None:
    answers = put(store)

    assert answers == [MADE]
    assert store.objects.find(ObjectKind.SECRET, Scope(), "db") == MADE
    assert store.objects.sealed(MADE.object_id) == SEALED


def test_what_is_put_again_replaces_all_of_it(store: Store) -> None:
    put(store)
    other = Sealed(("TOKEN",), "k2", b"other", 20.0)

    answers = put(store, sealed=other)

    assert answers == [MADE]
    assert store.objects.sealed(MADE.object_id) == other


def test_a_name_that_is_taken_keeps_what_is_in_its_secret(store: Store) -> None:
    put(store)
    second = a_secret("db", number=2)

    answers = put(store, second, replace(SEALED, box=b"second"))

    assert answers == [Refusal.TAKEN]
    assert store.objects.sealed(MADE.object_id) == SEALED
    assert store.objects.sealed(second.object_id) is None


def test_an_id_of_another_name_is_refused(store: Store) -> None:
    put(store)

    answers = put(store, replace(MADE, name="other"), replace(SEALED, box=b"second"))

    assert answers == [Refusal.TAKEN]
    assert store.objects.sealed(MADE.object_id) == SEALED


def test_a_renamed_secret_keeps_what_is_in_it(store: Store) -> None:
    put(store)

    store.objects.apply([RenameObject(MADE.object_id, "database")])

    assert store.objects.sealed(MADE.object_id) == SEALED


def test_nothing_is_left_of_a_deleted_secret_nor_found_in_one_made_after_it(store: Store) -> None:
    put(store)

    store.objects.apply([DeleteObjects((MADE.object_id,)), CreateObject(MADE)])

    assert store.objects.sealed(MADE.object_id) is None
    assert store.objects.sealed_otherwise("", 10) == []


def test_those_of_other_keys_are_listed_until_they_are_sealed_anew(store: Store) -> None:
    second = a_secret("api", number=2)
    put(store)
    put(store, second, replace(SEALED, key_id="k2"))
    before = store.objects.sealed_otherwise("k2", 10)
    new = replace(SEALED, key_id="k2", box=b"anew")

    answers = store.objects.apply([Reseal(MADE.object_id, SEALED.box, new)])

    assert before == [(MADE.object_id, SEALED)]
    assert answers == [True]
    assert store.objects.sealed(MADE.object_id) == new
    assert store.objects.sealed_otherwise("k2", 10) == []
    assert len(store.objects.sealed_otherwise("k3", 1)) == 1


def test_what_was_replaced_meanwhile_is_not_put_back_under_another_key(store: Store) -> None:
    put(store)
    put(store, sealed=replace(SEALED, box=b"newer"))

    answers = store.objects.apply(
        [
            Reseal(MADE.object_id, SEALED.box, replace(SEALED, key_id="k2", box=b"old")),
            Reseal("se-none", SEALED.box, SEALED),
        ]
    )

    assert answers == [False, False]
    assert store.objects.sealed(MADE.object_id) == replace(SEALED, box=b"newer")
