"""Objects with a name, from the SDK down to the server's memory."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from tests.support.objects import an_object, object_server

import offload
from offload import errors
from offload.control.ports.objects import CreateObject
from offload.control.services.objects import MAX_LISTED
from offload.sdk.blocking import run
from offload.sdk.objects import NamedObject


class Box(NamedObject):
    """The plainest object there is."""

    kind = "dict"


@pytest.fixture
def server():
    with object_server() as running:
        yield running


def names(**where):
    return [each.name for each in Box.list(**where)]


def test_nothing_is_asked_of_the_server_before_an_object_is_used(server):
    box = Box.from_name("shelf", create_if_missing=True)

    before = names()
    box.hydrate()

    assert (before, names()) == ([], ["shelf"])
    assert box.object_id.startswith("di-")
    assert box.name == "shelf"


def test_one_name_is_one_object(server):
    first = Box.from_name("shelf", create_if_missing=True).hydrate()
    second = Box.from_name("shelf").hydrate()

    assert first.object_id == second.object_id


def test_a_name_that_is_missing_says_how_to_make_it(server):
    with pytest.raises(errors.NotFoundError, match="create_if_missing=True"):
        Box.from_name("shelf").hydrate()


@pytest.mark.parametrize("name", ["a b", "../up", "x" * 65, "-x", "ü"])
def test_a_name_that_cannot_be_one_is_refused(server, name):
    with pytest.raises(errors.InvalidError, match="is no name of a dict"):
        Box.from_name(name, create_if_missing=True).hydrate()


def test_an_object_cannot_be_made_by_its_class_alone(server):
    with pytest.raises(errors.InvalidError, match="from_name"):
        Box()
    with pytest.raises(errors.InvalidError, match="has a name"):
        Box.from_name("")


def test_environments_have_their_own_objects(server, monkeypatch):
    here = Box.from_name("shelf", create_if_missing=True).hydrate()
    there = Box.from_name("shelf", environment_name="prod", create_if_missing=True).hydrate()

    monkeypatch.setenv("OFFLOAD_ENVIRONMENT", "prod")
    by_setting = Box.from_name("shelf").hydrate()

    assert here.object_id != there.object_id == by_setting.object_id
    assert [each.environment_name for each in Box.list()] == ["prod"]
    with pytest.raises(errors.InvalidError, match="name of an environment"):
        Box.from_name("x", environment_name="no good", create_if_missing=True).hydrate()


def test_a_renamed_object_is_found_by_its_new_name(server):
    box = Box.from_name("old", create_if_missing=True).hydrate()
    Box.from_name("taken", create_if_missing=True).hydrate()

    Box.rename("old", "new")

    assert names() == ["new", "taken"]
    assert Box.from_name("new").object_id == box.object_id
    with pytest.raises(errors.InvalidError, match="another dict 'taken'"):
        Box.rename("new", "taken")
    with pytest.raises(errors.NotFoundError):
        Box.rename("old", "newer")


def test_a_deleted_object_is_gone_for_whoever_has_found_it(server):
    box = Box.from_name("shelf", create_if_missing=True).hydrate()

    Box.delete("shelf")

    assert names() == []
    with pytest.raises(errors.NotFoundError):
        Box.delete("shelf")
    Box.delete("shelf", allow_missing=True)
    again = Box.from_name("shelf", create_if_missing=True)
    assert again.object_id != box.object_id


def test_more_objects_than_fit_one_answer_are_all_listed(server):
    made = [an_object(f"b{number:04}", number=number) for number in range(MAX_LISTED + 2)]
    server.store.objects.apply([CreateObject(each) for each in made])

    assert names() == [each.name for each in made]


def test_an_ephemeral_object_lives_as_long_as_its_block(server):
    with Box.ephemeral() as box:
        [during] = server.store.objects.anonymous()

    assert during.object_id == box.object_id
    assert server.store.objects.anonymous() == []


def test_an_ephemeral_object_whose_holder_is_gone_is_removed_after_its_lease():
    with object_server(lease_seconds=0.0) as server:
        box = Box.ephemeral()
        run(box._hold())

        box._holding.cancel()
        run(_until(lambda: not server.store.objects.anonymous()))


def test_a_holder_comes_back_after_a_restart_of_the_server(server):
    with Box.ephemeral() as box:
        server.restart()
        held = server.services.objects._held[box.object_id]
        run(_until(lambda: held.holders == 1))

        assert [each.object_id for each in server.store.objects.anonymous()] == [box.object_id]


def test_an_ephemeral_object_of_an_app_ends_with_the_run(server):
    app = offload.App("owner")
    box = Box.ephemeral(app=app)

    with app.run():
        first = box.hydrate().object_id
        during = [each.app_id for each in server.store.objects.anonymous()]
        app_id = app.app_id
    run(_until(lambda: not server.store.objects.anonymous()))
    with app.run():
        second = box.hydrate()._reference.known_id

    assert during == [app_id]
    assert first != second
    with pytest.raises(errors.AppNotRunningError):
        box.hydrate()


def test_a_restarted_server_removes_what_belonged_to_apps_that_have_ended(server):
    app = offload.App("owner")
    with app.run():
        Box.ephemeral(app=app).hydrate()
        server.services.apps._ending.clear()  # as if it died right after it had noted the end
    left = server.store.objects.anonymous()

    server.restart()
    run(_until(lambda: not server.store.objects.anonymous()))

    assert len(left) == 1


def test_an_ephemeral_object_needs_a_block_or_an_app(server):
    with pytest.raises(errors.InvalidError, match="with"):
        Box.ephemeral().hydrate()
    with (
        pytest.raises(errors.InvalidError, match="ephemeral"),
        Box.from_name("shelf", create_if_missing=True),
    ):
        pass


def test_a_handle_pickles_as_a_reference(server):
    named = Box.from_name("shelf", create_if_missing=True)
    with Box.ephemeral() as held:
        copies = pickle.loads(pickle.dumps([named, held]))  # noqa: S301  # our own

        assert [each.object_id for each in copies] == [named.object_id, held.object_id]


def test_what_travelled_out_of_its_block_does_not_make_the_object_again(server):
    with Box.ephemeral() as held:
        copy = pickle.loads(pickle.dumps(held))  # noqa: S301  # our own
        copy._reference.known_id = ""

    with pytest.raises(errors.NotFoundError):
        copy.hydrate()


def test_everything_has_an_async_twin(server):
    async def play():
        async with Box.ephemeral() as box:
            assert box.object_id
        await Box.from_name("shelf", create_if_missing=True).hydrate.aio()
        await Box.rename.aio("shelf", "rack")
        found = await Box.list.aio()
        await Box.delete.aio("rack")
        return found, await Box.list.aio()

    found, after = asyncio.run(play())

    assert [each.name for each in found] == ["rack"]
    assert after == []


async def _until(is_so):
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110  # of a whole server in this loop
            await asyncio.sleep(0.001)
