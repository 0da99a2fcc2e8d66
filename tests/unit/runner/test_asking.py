"""What user code asks of the platform, seen from the other end of the runner's socket."""

# The functions here run in another process and bring their imports along.
# ruff: noqa: PLC0415

from __future__ import annotations

import pytest
from tests.support.runner import RunnerProcess

from offload.wire import guest
from offload.wire.guest import asks

METHOD = "offload.v1.Dicts/Get"


def ask(data):
    import threading

    from offload.wire import guest

    answered = threading.Event()
    answers = []

    def tell(answer):
        answers.append((answer.status, answer.data))
        answered.set()

    guest.find_platform().ask("offload.v1.Dicts/Get", data, tell)
    answered.wait(20)
    return answers


def ask_from_threads(count):
    import threading

    from offload.wire import guest

    answers = {}
    done = threading.Semaphore(0)

    def one(number):
        def tell(answer):
            answers[number] = answer.data
            done.release()

        guest.find_platform().ask("offload.v1.Dicts/Get", b"%d" % number, tell)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for _ in threads:
        done.acquire(timeout=20)
    return [answers[number] for number in range(count)]


def read_a_dict(handle):
    return handle["key"]


for each in (ask, ask_from_threads, read_a_dict):
    each.__module__ = "__main__"  # so that they travel by value, as a script's functions do


def test_a_request_goes_out_and_its_answer_comes_back_while_user_code_waits() -> None:
    with RunnerProcess() as runner:
        runner.load(ask)
        runner.run("in-1", b"question")
        asked = runner.wait_for(asks.Ask)

        runner.send(asks.Answer(asked.number, 0, True, b"answer"))
        result = runner.result()

        assert asked == asks.Ask(asked.number, METHOD, b"question")
        assert runner.value(result) == [(0, b"answer")]


def test_answers_find_who_asked_in_whatever_order_they_come() -> None:
    with RunnerProcess() as runner:
        runner.load(ask_from_threads)
        runner.run("in-1", 20)
        asked = [runner.wait_for(asks.Ask) for _ in range(20)]

        runner.send(*(asks.Answer(a.number, 0, True, b"re:" + a.data) for a in reversed(asked)))

        assert runner.value(runner.result()) == [b"re:%d" % number for number in range(20)]


def test_an_input_that_waits_for_an_answer_can_be_cancelled() -> None:
    with RunnerProcess() as runner:
        runner.load(ask)
        runner.run("in-1", b"question")
        runner.wait_for(asks.Ask)

        runner.send(guest.Cancel(("in-1",), timed_out=False, reason="by its caller"))

        assert runner.result().interrupted


def test_an_answer_to_nobody_is_no_trouble() -> None:
    with RunnerProcess() as runner:
        runner.load(ask)
        runner.run("in-1", b"question")
        asked = runner.wait_for(asks.Ask)

        runner.send(asks.Answer(asked.number + 7, 0, True, b"?"))
        runner.send(asks.Answer(asked.number, 0, True, b"answer"))

        assert runner.value(runner.result()) == [(0, b"answer")]


@pytest.mark.parametrize("is_found", [True, False])
def test_the_sdk_speaks_through_it_without_an_address(is_found: bool) -> None:
    from offload.sdk.dict import Dict
    from offload.wire.gen import common_pb2, dicts_pb2, objects_pb2

    handle = Dict.from_name("shared")
    with RunnerProcess() as runner:
        runner.load(read_a_dict)
        runner.run("in-1", handle)
        opening = runner.wait_for(asks.Ask)
        found = objects_pb2.ObjectSummary(object_id="di-1").SerializeToString()
        runner.send(asks.Answer(opening.number, 0, True, found))
        getting = runner.wait_for(asks.Ask)
        value = common_pb2.Payload(encoding="pickle", inline=runner.body(42).inline)
        reply = dicts_pb2.DictGetReply(found=is_found, value=value if is_found else None)
        runner.send(asks.Answer(getting.number, 0, True, reply.SerializeToString()))
        result = runner.result()

        assert (opening.method, getting.method) == ("offload.v1.Objects/Open", METHOD)
        if is_found:
            assert runner.value(result) == 42
        else:
            assert result.fault is not None
            assert result.fault.type_name == "KeyError"
