"""Priorities, dependencies, time-outs and keys of calls, against a server that answers from a script."""

import asyncio
import contextlib

import pytest
from tests.support.sdk_server import fake_server

import offload
from offload import errors
from offload.wire.gen import common_pb2

app = offload.App("queueing")


@app.function()
def square(x):
    return x * x


@app.function(priority=3, call_timeout=60)
def urgent(x):
    return -x


@app.function()
def count(n):
    yield from range(n)


@app.function(gpu="H100:2", labels={"zone": "a"}, buffer_containers=2)
def trained(x):
    return x


@app.function()
def picky(x):
    raise ValueError(f"no {x}")


@pytest.fixture
def server():
    with fake_server() as running, app.run():
        yield running


def only(items):
    [item] = items
    return item


def test_devices_labels_and_spare_containers_reach_the_server(server):
    trained.remote(1)

    definition = only(server.definitions)
    assert (definition.gpu.count, definition.gpu.kind) == (2, "H100")
    assert dict(definition.labels) == {"zone": "a"}
    assert definition.buffer_containers == 2


WAYS = {
    "remote": lambda function: function.remote(3),
    "spawn": lambda function: function.spawn(3),
    "map": lambda function: list(function.map([3])),
    "starmap": lambda function: list(function.starmap([(3,)])),
    "spawn_map": lambda function: function.spawn_map([3]),
    "for_each": lambda function: function.for_each([3]),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_every_way_to_call_takes_the_options_of_calls(server, way):
    first = square.spawn(1)
    with_options = square.with_options(priority=7, call_timeout=2.5, after=first, run_anyway=True)

    way(with_options)

    options = list(server.calls.values())[-1].options
    assert (options.priority, options.timeout_seconds) == (7, 2.5)
    assert (list(options.after), options.run_anyway) == ([first.object_id], True)


def test_a_generator_takes_them_too(server):
    assert list(count.with_options(priority=7).remote_gen(3)) == [0, 1, 2]

    assert only(server.calls.values()).options.priority == 7


def test_options_of_calls_register_no_second_function(server):
    square.remote(1)
    square.with_options(priority=1).remote(2)
    square.with_options(priority=2).with_options(call_timeout=5).spawn(3)
    square.with_options(memory=1024, priority=3).remote(4)  # what it is anyway

    assert len(server.definitions) == 1


def test_another_option_of_the_function_registers_another_one(server):
    square.remote(1)
    larger = square.with_options(priority=4, memory=64)
    larger.remote(2)
    larger.with_options(priority=5).remote(3)

    assert [each.memory_mib for each in server.definitions] == [1024, 64]
    assert [each.options.priority for each in server.calls.values()] == [0, 4, 5]


def test_defaults_of_the_decorator_hold_unless_a_call_says_otherwise(server):
    urgent.remote(1)
    urgent.with_options(priority=-1).remote(2)

    options = [each.options for each in server.calls.values()]
    assert [(each.priority, each.timeout_seconds) for each in options] == [(3, 60), (-1, 60)]


def test_a_call_after_one_that_failed_says_so(server):
    failed = picky.spawn(1)

    with pytest.raises(errors.DependencyError, match=failed.object_id):
        square.with_options(after=failed).remote(2)

    assert square.with_options(after=failed, run_anyway=True).remote(2) == 4


def test_a_call_after_one_that_nobody_knows_is_refused(server):
    with pytest.raises(errors.NotFoundError, match="fc-unknown"):
        square.with_options(after="fc-unknown").spawn(2)


def test_a_call_as_a_whole_that_took_too_long_is_a_timeout(server):
    server.failures[0] = common_pb2.Failure(
        kind=common_pb2.FAILURE_KIND_TIMEOUT, reason="the call was not over within 2 s"
    )

    with pytest.raises(errors.FunctionTimeoutError, match="was not over within 2 s"):
        square.with_options(call_timeout=2).remote(1)


def test_the_same_key_is_the_same_call(server):
    keyed = square.with_options(idempotency_key="tuesday")

    first, again = keyed.spawn(3), keyed.spawn(4)

    assert first.object_id == again.object_id == only(server.calls)
    assert again.get() == 9
    assert keyed.remote(5) == 9


def test_a_keyed_call_is_named_in_its_error_by_the_id_the_server_gave(server):
    with pytest.raises(ValueError, match="no 1") as caught:
        picky.with_options(idempotency_key="k").remote(1)

    assert any(only(server.calls) in note for note in caught.value.__notes__)


def test_a_keyed_generator_is_followed_from_its_first_item(server):
    keyed = count.with_options(idempotency_key="k")

    assert list(keyed.remote_gen(3)) == list(keyed.remote_gen(3)) == [0, 1, 2]
    assert len(server.calls) == 1


def test_a_keyed_call_survives_a_broken_connection_as_one_call(server):
    server.break_link_at = {("Run", 1), ("Submit", 1)}

    assert square.with_options(idempotency_key="a").remote(3) == 9
    assert square.with_options(idempotency_key="b").spawn(3).get() == 9

    assert len(server.calls) == 2


def stop_waiting_for(function, server):
    """Give up on a remote call that the server has, and end the run, which waits for what is said to the server."""

    async def main():
        async with app.run():
            server.hold.clear()
            waiting = asyncio.create_task(function.remote.aio(3))
            await asyncio.to_thread(server.run_asked.wait)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting

    asyncio.run(main())
    server.hold.set()


def test_who_stops_waiting_for_a_call_cancels_it_and_is_named(server):
    stop_waiting_for(square, server)

    assert "who stopped waiting for it" in only(server.calls.values()).cancelled


def test_who_stops_waiting_for_a_keyed_call_leaves_it_to_the_others(server):
    stop_waiting_for(square.with_options(idempotency_key="k"), server)

    assert only(server.calls.values()).cancelled == ""


def test_who_leaves_a_keyed_generator_early_leaves_it_to_the_others(server):
    for _ in count.with_options(idempotency_key="k").remote_gen(50):
        break

    call = only(server.calls.values())
    assert (call.attached, call.cancelled) == (False, "")


@pytest.mark.parametrize("method", ["map", "starmap", "for_each"])
def test_a_map_that_ends_with_its_caller_cannot_have_a_key(server, method):
    with pytest.raises(errors.InvalidError, match=r"spawn_map\(…\)\.get\(\)"):
        getattr(square.with_options(idempotency_key="k"), method)([[1]])


def test_a_spawned_map_with_a_key_is_submitted_once_and_completed_by_whoever_comes_again(server):
    keyed = square.with_options(idempotency_key="all")

    def broken():
        yield from range(10)
        raise LookupError("the program was stopped")

    with pytest.raises(LookupError):
        keyed.spawn_map(broken())
    calls = [keyed.spawn_map(range(3000)), keyed.spawn_map(range(3000))]

    assert {call.object_id for call in calls} == set(server.calls)
    assert calls[0].get() == [x * x for x in range(3000)]
    assert len(only(server.calls.values()).outcomes) == 3000


def test_the_autoscaler_is_changed_where_something_is_given(server):
    square.update_autoscaler(min_containers=2, buffer_containers=0)
    asyncio.run(square.update_autoscaler.aio(scaledown_window=5.5))

    first, second = server.scalings
    assert (first.min_containers, first.buffer_containers) == (2, 0)
    assert first.HasField("buffer_containers")
    assert not first.HasField("max_containers")
    assert second.scaledown_window_seconds == 5.5
    assert not second.HasField("min_containers")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "changes nothing"),
        ({"min_containers": -1}, "out of range"),
        ({"min_containers": 3, "max_containers": 2}, "more than max_containers"),
    ],
)
def test_a_wrong_change_of_the_autoscaler_is_refused(server, change, says):
    with pytest.raises(errors.InvalidError, match=says):
        square.update_autoscaler(**change)


def test_status_says_what_a_call_as_a_whole_waits_for(server):
    first = square.spawn(1)
    call = square.with_options(after=first, priority=2).spawn(2)
    server.waiting_reasons[call.object_id] = f"waits for {first.object_id}"

    status = call.status()

    assert (status.priority, status.after) == (2, (first.object_id,))
    assert status.waiting_reason == f"waits for {first.object_id}"


def test_an_app_runs_in_the_workspace_it_is_given_or_that_of_the_environment(monkeypatch):
    monkeypatch.setenv("OFFLOAD_WORKSPACE", "physics")

    with fake_server() as server:
        with app.run():
            pass
        with app.run(workspace="biology"):
            pass

    assert [each.workspace for each in server.apps] == ["physics", "biology"]
