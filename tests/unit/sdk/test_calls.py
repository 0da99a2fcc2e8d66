"""Every way to call a function, against a server that answers from a script."""

import asyncio
import os
import time
import traceback

import pytest
from tests.support.sdk_server import fake_server

import offload
from offload import errors
from offload.sdk import blocking, session
from offload.sdk.ids import new_id
from offload.wire.gen import common_pb2

app = offload.App("calls")


@app.function()
def square(x, *, add=0):
    return x * x + add


@app.function()
def divide(x):
    raise ValueError(f"no {x}")


@app.function()
def count(n):
    yield from range(n)
    if n > 90:
        raise ValueError("too far")


@app.function(
    cpu=(0.5, 2),
    memory=(64, 96),
    ephemeral_disk=32,
    timeout=7,
    retries=2,
    env={"A": "b"},
    block_network=True,
)
def small():
    return 1


@pytest.fixture
def server():
    with fake_server() as running:
        yield running


def test_a_remote_call_gives_what_the_function_returns(server):
    with app.run():
        result = square.remote(5, add=1)

    assert result == 26


def test_the_async_twin_gives_the_same(server):
    async def main():
        async with app.run():
            mapped = [each async for each in square.map.aio([1, 2, 3])]
            items = [each async for each in count.remote_gen.aio(3)]
            call = await square.spawn.aio(4)
            return await square.remote.aio(5), mapped, items, await call.get.aio()

    assert asyncio.run(main()) == (25, [1, 4, 9], [0, 1, 2], 16)


def test_a_blocking_call_works_inside_a_running_event_loop(server):
    async def main():
        with app.run():
            return square.remote(5)

    assert asyncio.run(main()) == 25


def test_a_function_is_registered_once_with_its_options(server):
    with app.run():
        small.remote()
        small.remote()

    assert len(server.definitions) == 1
    definition = server.definitions[0]
    assert (definition.cpu_milli, definition.memory_mib, definition.timeout_seconds) == (500, 64, 7)
    assert (definition.cpu_limit_milli, definition.memory_limit_mib) == (2000, 96)
    assert definition.ephemeral_disk_mib == 32
    assert definition.retries.max_retries == 2
    assert (dict(definition.env), definition.block_network) == ({"A": "b"}, True)
    assert definition.local_image.python
    assert definition.local_image.host_id


def test_a_second_and_a_nested_run_are_runs_of_their_own(server):
    with app.run():
        first = app.app_id
        with app.run():
            assert app.app_id != first
            assert square.remote(2) == 4
        assert app.app_id == first
    with app.run():
        assert square.remote(3) == 9

    assert len(server.stopped) == 3


def test_an_interrupted_run_cancels_what_it_spawned(server):
    with pytest.raises(KeyboardInterrupt), app.run():
        raise KeyboardInterrupt

    assert server.stopped[0].cancel
    assert f"@{os.uname().nodename} (" in server.stopped[0].reason
    assert server.stopped[0].reason.endswith("with Ctrl-C")


def test_a_run_that_ends_with_an_exception_says_which_and_whose_it_was(server):
    with pytest.raises(LookupError), app.run():
        raise LookupError

    assert server.stopped[0].reason.startswith("the app's run by ")
    assert server.stopped[0].reason.endswith("ended with LookupError")


def test_a_run_that_ends_well_leaves_spawned_calls_alone(server):
    with app.run():
        square.spawn(1)

    assert not server.stopped[0].cancel


def test_a_generators_items_come_in_order(server):
    with app.run():
        assert list(count.remote_gen(5)) == [0, 1, 2, 3, 4]


def test_a_generators_exception_comes_after_its_items(server):
    seen = []

    with app.run(), pytest.raises(ValueError, match="too far"):
        seen.extend(count.remote_gen(91))

    assert seen == list(range(91))


def test_the_wrong_way_to_call_names_the_right_one(server):
    with app.run():
        with pytest.raises(errors.InvalidError, match="remote_gen"):
            count.remote(5)
        with pytest.raises(errors.InvalidError, match="remote_gen"):
            count.map([5])
        with pytest.raises(errors.InvalidError, match=r"square\.remote"):
            square.remote_gen(5)
        with pytest.raises(errors.InvalidError, match="not iterable"):
            square.map(5)


def test_a_spawned_call_is_found_again_by_its_id(server):
    with app.run():
        call = square.spawn(6)

    assert call.object_id.startswith("fc-")
    assert len(call.object_id) == 3 + 26
    assert offload.FunctionCall.from_id(call.object_id).get() == 36
    assert call.status().state == "succeeded"


def test_a_spawned_generator_streams(server):
    with app.run():
        call = count.spawn(3)
        assert list(call.stream()) == [0, 1, 2]
        with pytest.raises(errors.InvalidError, match=r"\.stream\(\)"):
            call.get()


def test_get_gives_up_after_its_timeout_and_the_call_goes_on(server):
    with app.run():
        call = square.spawn(6)
        server.hold.clear()
        with pytest.raises(TimeoutError, match="it goes on"):
            call.get(timeout=0.01)
        server.hold.set()
        assert call.get() == 36


def test_gather_keeps_the_order_and_wait_first_gives_a_call(server):
    with app.run():
        calls = [square.spawn(x) for x in range(4)]
        assert offload.gather(*calls) == [0, 1, 4, 9]
        assert offload.wait_first(*calls) in calls
        with pytest.raises(ValueError, match="no 1"):
            offload.gather(square.spawn(1), divide.spawn(1))


def test_an_unknown_call_is_not_found(server):
    with pytest.raises(errors.NotFoundError):
        offload.FunctionCall.from_id("fc-unknown").get()


def test_a_cancelled_call_tells_the_server_why(server):
    with app.run():
        call = square.spawn(1)
        call.cancel("enough")

    assert server.calls[call.object_id].cancelled.startswith("cancelled by ")
    assert server.calls[call.object_id].cancelled.endswith(": enough")


def test_large_arguments_and_results_travel_as_blobs(server):
    @app.function()
    def echo(data):
        return data

    data = os.urandom(300_000)
    with app.run():
        assert echo.remote(data) == data

    assert len(server.blobs) == 2


def test_a_remote_exception_keeps_its_type_and_shows_the_remote_line(server):
    with app.run(), pytest.raises(ValueError, match="no 3") as caught:
        divide.remote(3)

    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.name) == ("/only/in/the/container.py", 7, "divide")
    assert last.line == "raise ValueError(x)"
    assert "input 0 of divide()" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("TIMEOUT", errors.FunctionTimeoutError),
        ("OUT_OF_MEMORY", errors.OutOfMemoryError),
        ("SIGNAL", errors.ContainerExitError),
        ("EXIT", errors.ContainerExitError),
        ("START", errors.ContainerStartError),
        ("DEPENDENCY", errors.DependencyError),
        ("CANCELLED", errors.InputCancelledError),
    ],
)
def test_every_other_end_has_an_exception_of_its_own(server, kind, expected):
    number = common_pb2.FailureKind.Value("FAILURE_KIND_" + kind)
    server.failures[0] = common_pb2.Failure(kind=number, reason="because", exit_code=3)

    with app.run(), pytest.raises(expected, match="because"):
        square.remote(1)


@pytest.mark.parametrize("kind", ["WORKER_LOST", "SIGNAL", "OUT_OF_MEMORY"])
def test_an_input_that_was_given_up_is_lost_whatever_its_last_attempt_died_of(server, kind):
    number = common_pb2.FailureKind.Value("FAILURE_KIND_" + kind)
    server.failures[0] = common_pb2.Failure(kind=number, reason="it ended 3 containers")
    server.lost.add(0)

    with app.run(), pytest.raises(errors.InputLostError, match="it ended 3 containers"):
        square.remote(1)


def test_a_container_that_could_not_start_shows_what_it_printed_last(server):
    failure = common_pb2.Failure(
        kind=common_pb2.FAILURE_KIND_START,
        reason="the container ended with exit code 1 before it was ready",
        last_lines=["loading", "ImportError: libcuda.so.1"],
    )
    server.failures[0] = failure

    with app.run(), pytest.raises(errors.ContainerStartError) as caught:
        square.remote(1)

    assert str(caught.value) == failure.reason
    assert caught.value.last_lines == ("loading", "ImportError: libcuda.so.1")
    shown = "".join(traceback.format_exception(caught.value))
    assert "the container printed last:\n  loading\n  ImportError: libcuda.so.1" in shown


@pytest.mark.parametrize("method", ["get", "status", "cancel", "stream"])
def test_a_call_whose_results_are_gone_says_until_when_they_were_kept(server, method):
    with app.run():
        call_id = square.spawn(1).object_id
    server.expired.add(call_id)
    call = offload.FunctionCall.from_id(call_id)

    with pytest.raises(errors.OutputExpiredError, match="were kept until yesterday"):
        list(getattr(call, method)())


def test_an_exception_that_cannot_be_loaded_here_keeps_its_name_and_text(server):
    failure = common_pb2.Failure(
        kind=common_pb2.FAILURE_KIND_EXCEPTION, type_name="theirs.Missing", message="gone"
    )
    failure.exception.inline = b"ctheirs\nMissing\n."
    server.failures[0] = failure

    with app.run(), pytest.raises(errors.RemoteError) as caught:
        square.remote(1)

    assert (caught.value.type_name, caught.value.message) == ("theirs.Missing", "gone")


def test_lines_that_came_before_a_result_are_printed_before_it_returns(server, capsys):
    server.lines = [
        common_pb2.LogLine(
            seq=1, stream="stdout", text="hello", function_name="square", input_id="in-a-7"
        ),
        common_pb2.LogLine(seq=2, stream="stderr", text="oops", function_name="square"),
    ]

    with app.run():
        square.remote(1)
        printed = capsys.readouterr()

    assert printed.out == "[square #7] hello\n"
    assert printed.err == "[square] oops\n"


def test_show_output_false_prints_nothing(server, capsys):
    server.lines = [common_pb2.LogLine(seq=1, stream="stdout", text="hello")]

    with app.run(show_output=False):
        square.remote(1)

    assert capsys.readouterr().out == ""


def test_a_forked_child_makes_a_connection_of_its_own(server):
    with app.run():
        square.remote(1)
        before = session.current_client()
        child = os.fork()
        if child == 0:
            try:
                fresh = session._current is None and blocking._background is None
                os._exit(0 if fresh else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert session.current_client() is before


def test_call_ids_sort_by_age():
    first = new_id("fc-")
    moment = time.time_ns()
    while time.time_ns() < moment + 2_000_000:
        pass

    assert first < new_id("fc-")
