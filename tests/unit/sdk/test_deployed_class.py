"""Classes of deployed apps as their callers have them, before anybody has asked the server."""

from __future__ import annotations

import pickle

import pytest

import offload
from offload.errors import InvalidError

Greeter = offload.Cls.from_name("shop", "Greeter", version="v1", environment_name="prod")


def again(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301  # what this process pickled


def test_a_class_an_instance_and_a_method_travel_by_their_names():
    changed = Greeter.with_options(memory=128).with_concurrency(max_inputs=4)
    instance = changed(language="de")
    method = instance.greet.with_options(priority=3)

    assert repr(again(Greeter)) == "<Cls Greeter of deployed app 'shop'>"
    assert again(changed)._named == changed._named
    assert repr(again(instance)) == "Greeter(language='de')"
    assert again(instance)._named == changed._named
    assert (again(method).method, again(method).call_options.priority) == ("greet", 3)
    assert isinstance(again(method), offload.Function)


def test_changes_add_up_and_leave_the_class_as_it_is():
    changed = Greeter.with_options(memory=128).with_options(timeout=5, priority=2)
    batched = changed.with_batching(max_batch_size=8, wait_ms=10)

    assert Greeter._named.changed.names == frozenset()
    assert batched._named.changed.names == {"memory", "timeout", "batching"}
    assert batched._named.changed.options.memory == 128
    assert batched._named.changed.options.batching.max_batch_size == 8
    assert batched(language="de").greet.call_options.priority == 2


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Greeter("de"), r"Greeter\(\) takes its parameters by name"),
        (lambda: Greeter(language=1.5), "parameters are str, int, bool or bytes"),
        (lambda: Greeter.with_options(memory=0), "memory"),
        (lambda: Greeter.with_options(memry=3), "did you mean 'memory'"),
        (lambda: Greeter.with_options(min_containers=1), "come on demand"),
        (lambda: Greeter.with_options(image=offload.Image.local()), "image of Greeter is what it"),
        (lambda: Greeter.with_options(block_network=True), "block_network of Greeter is what it"),
        (lambda: Greeter.with_concurrency(max_inputs=0), "max_inputs"),
        (
            lambda: Greeter(language="de").greet.with_options(cpu=2),
            "same for all methods of Greeter",
        ),
        (lambda: Greeter(language="de").greet.local("Ann"), r"write Greeter\.greet\.remote"),
        (lambda: offload.Cls.from_name("shop", " "), "' ' is no name of a class"),
        (lambda: offload.Cls.from_name("shop", "X", version=0), "they count from 1"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(build, said):
    with pytest.raises(InvalidError, match=said):
        build()
