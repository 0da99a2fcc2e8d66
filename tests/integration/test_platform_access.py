"""What user code reaches from inside its container: other functions of its app, without any credential there."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

import offload
from offload import errors, testing

app = offload.App("inside")
small = {"cpu": 0.1, "memory": 128}


@app.function(**small)
def square(value):
    return value * value


@app.function(**small)
def count(end):
    yield from range(end)


@app.function(**small)
def size(data):
    return len(data), data


@app.function(**small)
def fail():
    raise ValueError("on purpose")


@app.function(**small)
def every_way(number):
    spawned = square.spawn(number)
    return [
        square.remote(number),
        list(square.map(range(number))),
        list(count.remote_gen(number)),
        spawned.get(),
    ]


@app.function(**small)
async def asynchronous(number):
    return await square.remote.aio(number), [x async for x in square.map.aio(range(number))]


@app.function(**small)
def large(size_bytes):
    length, back = size.remote(b"x" * size_bytes)
    return length, len(back)


@app.function(**small)
def caught():
    try:
        fail.remote()
    except ValueError as error:
        return str(error)


@app.function(**small)
def threads(number):
    results = [0] * number

    def one(index):
        results[index] = square.remote(index)

    started = [threading.Thread(target=one, args=(index,)) for index in range(number)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return results


@app.function(**small)
def factorial(number):
    return 1 if number < 2 else number * factorial.remote(number - 1)


@app.function(**small)
def with_other_options():
    return square.with_options(memory=256).remote(2)


@app.function(**small)
def in_a_fork():
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            square.remote(2)
        except RuntimeError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 1000).decode()


@app.function(**small, restrict_platform_access=True)
def shut_in():
    return square.remote(2)


@app.function(**small)
def credentials():
    names = [name for name in os.environ if "TOKEN" in name or "URL" in name]  # noqa: TID251
    return names, [path for path in ("/run/offload/token", "token") if os.path.exists(path)]  # noqa: PTH110


@app.function(cpu=len(os.sched_getaffinity(0)), memory=128)
def fill_the_machine(depth):
    return depth and 1 + fill_the_machine.remote(depth - 1)


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    with testing.local_stack(tmp_path_factory.mktemp("stack")), app.run():
        yield


def test_functions_of_the_same_app_can_be_called_in_every_way():
    assert every_way.remote(3) == [9, [0, 1, 4], [0, 1, 2], 9]


def test_an_async_function_calls_others_without_blocking():
    assert asynchronous.remote(3) == (9, [0, 1, 4])


def test_arguments_and_results_too_large_for_a_message_travel_as_blobs():
    assert large.remote(3_000_000) == (3_000_000, 3_000_000)


def test_what_the_other_function_raised_is_raised_inside():
    assert caught.remote() == "on purpose"


def test_threads_of_user_code_call_at_the_same_time():
    assert threads.remote(20) == [index * index for index in range(20)]


def test_a_function_calls_itself():
    assert factorial.remote(3) == 6


def test_who_waits_for_a_call_from_inside_makes_room_for_it_on_a_machine_that_is_full():
    assert fill_the_machine.remote(3) == 3


def test_other_options_of_the_container_are_refused_inside_with_what_is_possible():
    with pytest.raises(errors.InvalidError, match="priority, call_timeout"):
        with_other_options.remote()


def test_a_process_that_user_code_forked_is_told_that_it_cannot_ask():
    assert "forked inside a container" in in_a_fork.remote()


def test_a_function_with_restricted_access_is_refused_everything_with_the_reason():
    with pytest.raises(errors.AuthError, match="restrict_platform_access=True"):
        shut_in.remote()


def test_there_is_no_credential_inside():
    assert credentials.remote() == ([], [])


@app.function(**small)
def use(shared, jobs, number):
    shared[number] = bytes(200_000) if number == 0 else number
    jobs.put(number)
    return shared.get("from outside"), shared.put("lock", number, skip_if_exists=True)


@app.function(**small)
def wait_for_item(jobs):
    return jobs.get(timeout=60)


@app.function(**small)
async def gather_items(jobs, number):
    return sorted(await asyncio.gather(*(jobs.get.aio() for _ in range(number))))


@app.function(**small)
def of_other_environments():
    offload.Dict.from_name("elsewhere", environment_name="prod", create_if_missing=True).hydrate()


captured = offload.Dict.from_name("captured", create_if_missing=True)


@app.function(**small)
def use_captured():
    captured["from inside"] = 1
    with offload.Queue.ephemeral() as own:
        own.put_many(range(3))
        return own.get_many(5), len(captured), [each.name for each in offload.Dict.list()]


def test_dicts_and_queues_are_the_same_inside_and_outside():
    with offload.Dict.ephemeral() as shared, offload.Queue.ephemeral() as jobs:
        shared["from outside"] = "seen"

        answers = list(use.starmap((shared, jobs, number) for number in range(4)))

        assert [seen for seen, _ in answers] == ["seen"] * 4
        assert [got_lock for _, got_lock in answers].count(True) == 1
        assert sorted(jobs.get_many(10)) == [0, 1, 2, 3]
        assert shared[0] == bytes(200_000)


def test_a_get_that_waits_inside_is_woken_from_outside():
    with offload.Queue.ephemeral() as jobs:
        call = wait_for_item.spawn(jobs)
        jobs.put("now")

        assert call.get(timeout=60) == "now"


def test_hundreds_of_tasks_inside_wait_at_the_same_time():
    with offload.Queue.ephemeral() as jobs:
        call = gather_items.spawn(jobs, 300)
        jobs.put_many(range(300))

        assert call.get(timeout=60) == list(range(300))


def test_a_handle_in_a_closure_is_the_same_object_inside():
    items, length, names = use_captured.remote()

    assert (items, length, "captured" in names) == ([0, 1, 2], 1, True)
    assert captured.pop("from inside") == 1


def test_another_environment_is_out_of_reach_inside():
    with pytest.raises(errors.AuthError, match="environment 'main' and cannot reach 'prod'"):
        of_other_environments.remote()


@app.function(**small)
@offload.concurrent(max_inputs=8)
def in_one_container(shared, number):
    shared[number] = number
    return square.remote(number), shared[number]


@app.function(**small)
@offload.concurrent(max_inputs=8)
async def on_one_loop(shared, number):
    await shared.put.aio(number, number)
    return await square.remote.aio(number), await shared.get.aio(number)


@pytest.mark.parametrize("function", [in_one_container, on_one_loop], ids=["threads", "loop"])
def test_inputs_that_share_a_container_ask_at_the_same_time(function):
    with offload.Dict.ephemeral() as shared:
        answers = list(function.starmap((shared, number) for number in range(24)))

        assert answers == [(number * number, number) for number in range(24)]
        assert len(shared) == 24
