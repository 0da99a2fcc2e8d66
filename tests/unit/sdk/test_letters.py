"""Inputs that were given up: listed, replayed, dropped."""

import asyncio

import pytest
from tests.support.sdk_server import fake_server

import offload
from offload import errors


@pytest.fixture
def server():
    with fake_server() as running:
        running.lose("in-a-0", app_name="first")
        running.lose("in-b-7", app_name="second")
        yield running


def test_dead_letters_come_newest_first_with_why_they_were_given_up(server):
    newest, oldest = offload.dead_letters()

    assert (newest.input_id, newest.call_id, newest.index) == ("in-b-7", "fc-b", 7)
    assert (newest.app_name, newest.function_name, newest.attempts) == ("second", "f", 3)
    assert newest.reason == "three workers went away with it"
    assert oldest.input_id == "in-a-0"


def test_dead_letters_are_listed_by_app_and_up_to_a_limit(server):
    [of_name] = offload.dead_letters("first")
    [of_app] = offload.dead_letters(offload.App("second"))
    [first_of_all] = offload.dead_letters(limit=1)

    assert (of_name.app_name, of_app.app_name) == ("first", "second")
    assert first_of_all.input_id == "in-b-7"
    with pytest.raises(errors.InvalidError, match="at least 1"):
        offload.dead_letters(limit=0)


def test_a_replayed_letter_is_a_call_of_its_own_and_leaves_the_list(server):
    call = offload.dead_letters()[0].replay()

    assert call.object_id == server.replayed["in-b-7"]
    assert [each.input_id for each in offload.dead_letters()] == ["in-a-0"]


def test_a_letter_that_somebody_else_took_meanwhile_is_not_found(server):
    letter = offload.dead_letters()[0]
    letter.replay()

    with pytest.raises(errors.NotFoundError, match="in-b-7"):
        letter.replay()


def test_a_dropped_letter_leaves_the_list(server):
    for letter in offload.dead_letters():
        letter.drop()

    assert offload.dead_letters() == []


def test_the_async_twins_do_the_same(server):
    async def main():
        newest, oldest = await offload.dead_letters.aio()
        await oldest.drop.aio()
        return await newest.replay.aio()

    assert asyncio.run(main()).object_id == server.replayed["in-b-7"]
    assert server.letters == {}
