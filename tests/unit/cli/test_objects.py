"""`offload dict` and `offload queue`, on a whole server in memory."""

from __future__ import annotations

import json

import pytest


def test_a_dict_is_made_filled_read_and_removed(offload):
    assert offload("dict", "create", "cache")[0] == 0
    assert offload("dict", "put", "cache", "a", '{"b": [1, 2]}')[0] == 0
    assert offload("dict", "put", "cache", "1", "text")[0] == 0

    as_json = json.loads(offload("dict", "get", "cache", "a", "--json")[1])
    _, all_of_it = offload("dict", "get", "cache")

    assert as_json == {"value": {"b": [1, 2]}}
    assert "'a': {'b': [1, 2]}" in all_of_it
    assert "1: 'text'" in all_of_it
    assert offload("dict", "clear", "cache")[0] == 0
    assert json.loads(offload("dict", "get", "cache", "--json")[1]) == {"entries": []}
    assert offload("dict", "delete", "cache", "--yes")[0] == 0
    assert offload("dict", "get", "cache")[0] == 4


def test_a_value_that_is_there_can_be_left_as_it_is(offload):
    offload("dict", "create", "cache")
    offload("dict", "put", "cache", "a", "1")

    _, said = offload("dict", "put", "cache", "a", "2", "--skip-if-exists", "--json")

    assert json.loads(said) == {"was_set": False}
    assert offload("dict", "get", "cache", "a") == (0, "1\n")


def test_what_is_missing_is_said_with_its_exit_code(offload):
    offload("dict", "create", "cache")

    assert offload("dict", "get", "cache", "none") == (
        4,
        "offload: Dict 'cache' has no key 'none'.\n",
    )
    code, said = offload("dict", "get", "nowhere")
    assert (code, "There is no dict 'nowhere'" in said) == (4, True)
    assert offload("queue", "delete", "nowhere", "-y", "--allow-missing")[0] == 0


def test_items_are_put_and_taken(offload):
    offload("queue", "create", "jobs")
    offload("queue", "put", "jobs", "1", "two", "--partition", "p")
    offload("queue", "put", "jobs", "three")

    assert offload("queue", "len", "jobs", "--total") == (0, "3\n")
    _, taken = offload("queue", "get", "jobs", "-n", "5", "--partition", "p", "--json")
    assert json.loads(taken) == {"items": [1, "two"]}
    assert offload("queue", "clear", "jobs", "--all")[0] == 0
    assert offload("queue", "get", "jobs")[0] == 4


def test_objects_are_listed_and_renamed_in_their_environment(offload):
    offload("queue", "create", "jobs", "--env", "prod")

    renamed = offload("queue", "rename", "jobs", "work", "--env", "prod")
    here = json.loads(offload("queue", "ls", "--json")[1])
    _, table = offload("queue", "ls", "--env", "prod")
    there = json.loads(offload("queue", "ls", "--env", "prod", "--json")[1])

    assert renamed[0] == 0
    assert here == {"queues": []}
    assert [(q["name"], q["environment_name"]) for q in there["queues"]] == [("work", "prod")]
    assert "work" in table


def test_a_name_that_cannot_be_is_refused(offload):
    code, said = offload("queue", "create", "no good")

    assert (code, "is no name of a queue" in said) == (2, True)


@pytest.mark.parametrize("kind", ["dict", "queue", "volume"])
def test_nothing_is_deleted_unasked(offload, kind):
    offload(kind, "create", "kept")

    code, _ = offload(kind, "delete", "kept", "--json")

    assert code == 2
    assert [each["name"] for each in json.loads(offload(kind, "ls", "--json")[1])[f"{kind}s"]] == [
        "kept"
    ]
