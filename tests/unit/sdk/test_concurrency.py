"""How a function says that its containers run several inputs, batches, or only one."""

from __future__ import annotations

import pytest

import offload
from offload.errors import InvalidError
from offload.sdk.client.translate import set_options
from offload.sdk.options import Batching, Concurrency
from offload.wire.gen import apps_pb2

app = offload.App("sharing")


def plain(x):
    return x


def listed(xs, ys=()):
    return xs


def definition(function) -> apps_pb2.FunctionDefinition:
    message = apps_pb2.FunctionDefinition()
    set_options(message, function.options)
    return message


def test_the_decorators_stand_below_or_above_the_functions_own():
    @app.function()
    @offload.concurrent(max_inputs=10, target_inputs=4)
    @offload.batched(max_batch_size=8, wait_ms=20)
    def below(xs):
        return xs

    @offload.concurrent(max_inputs=10, target_inputs=4)
    @offload.batched(max_batch_size=8, wait_ms=20)
    @app.function(name="above")
    def above(xs):
        return xs

    for function in (below, above):
        assert function.options.concurrency == Concurrency(10, 4)
        assert function.options.batching == Batching(8, 20)
    assert app.functions["above"] is above


def test_by_default_more_containers_are_wanted_when_all_places_are_taken():
    function = app.function()(offload.concurrent(max_inputs=10)(plain_copy()))

    assert function.options.concurrency == Concurrency(10, 10)


def plain_copy():
    def plain_one(x):
        return x

    return plain_one


def test_the_definition_says_it_and_one_without_says_nothing():
    shared = app.function()(offload.concurrent(max_inputs=10, target_inputs=4)(plain_copy()))
    alone = app.function()(plain_copy())

    said = definition(shared)

    assert (said.concurrency.max_inputs, said.concurrency.target_inputs) == (10, 4)
    assert not definition(alone).HasField("concurrency")
    assert not definition(alone).HasField("batching")


def test_options_that_are_changed_later_keep_what_the_decorators_said():
    function = app.function()(offload.concurrent(max_inputs=10)(plain_copy()))

    assert function.with_options(memory=99).options.concurrency == Concurrency(10, 10)


def test_a_decorated_function_is_called_here_as_it_is():
    marked = offload.batched(max_batch_size=8, wait_ms=20)(listed)
    function = app.function()(marked)

    assert marked is listed
    assert function.local([1, 2]) == [1, 2]


def misuses():
    yield (
        lambda: offload.concurrent(plain),
        "needs brackets.*@offload.concurrent\\(max_inputs=10\\)",
    )
    yield lambda: offload.batched(plain), "needs brackets"
    yield lambda: offload.concurrent(max_inputs=0), "max_inputs=0 is out of range"
    yield lambda: offload.concurrent(max_inputs=2, target_inputs=3), "more than max_inputs=2"
    yield lambda: offload.batched(max_batch_size=0, wait_ms=1), "max_batch_size=0"
    yield lambda: offload.batched(max_batch_size=2, wait_ms=-1), "wait_ms=-1"
    yield lambda: offload.concurrent(max_inputs=2)(3), "decorates functions, not int"
    yield lambda: offload.concurrent(max_inputs=2)(len), "cannot mark"
    yield lambda: app.function(max_inputs=3), "write @offload.concurrent"
    yield lambda: app.function(concurrency=3), "is no option: write @offload.concurrent"
    yield lambda: app.function(wait_ms=3), "write @offload.batched"
    yield lambda: app.function(single_use_containers=1), "neither True nor False"


@pytest.mark.parametrize(("misuse", "why"), list(misuses()))
def test_what_cannot_work_is_refused_where_it_was_written(misuse, why):
    with pytest.raises((InvalidError, TypeError), match=why):
        misuse()


def generator(xs):
    yield xs


async def async_generator(xs):
    yield xs


def variadic(*xs):
    return xs


def keywords(**xs):
    return xs


def nothing():
    return []


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (generator, "generator\\(\\) is a generator"),
        (async_generator, "is a generator"),
        (variadic, "\\*args or \\*\\*kwargs"),
        (keywords, "\\*args or \\*\\*kwargs"),
        (nothing, "takes no arguments"),
    ],
)
def test_what_cannot_be_called_with_lists_is_refused_at_decoration(function, why):
    batched = offload.batched(max_batch_size=2, wait_ms=1)

    with pytest.raises(InvalidError, match=why):
        batched(function)
    with pytest.raises(InvalidError, match=why):
        batched(app.function()(function))


def test_containers_of_a_single_use_run_neither_several_inputs_nor_batches():
    several = offload.concurrent(max_inputs=2)(plain_copy())
    lists = offload.batched(max_batch_size=2, wait_ms=1)(plain_copy())
    once = app.function(single_use_containers=True)

    with pytest.raises(InvalidError, match="single_use_containers=True with max_inputs=2"):
        once(several)
    with pytest.raises(InvalidError, match="single_use_containers=True on a batched function"):
        once(lists)
    with pytest.raises(InvalidError, match="single_use_containers"):
        app.function()(several).with_options(single_use_containers=True)
    assert once(offload.concurrent(max_inputs=1)(plain_copy())).options.single_use_containers


def test_outside_of_a_container_there_is_no_input():
    assert offload.is_local()
    assert offload.current_input_id() is None
    assert offload.current_function_call_id() is None
