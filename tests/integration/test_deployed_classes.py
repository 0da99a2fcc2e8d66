"""Classes of deployed apps, found by name, through the SDK and a whole stack."""

from __future__ import annotations

import os

import pytest

import offload
from offload import errors, testing


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    with testing.local_stack(tmp_path_factory.mktemp("stack")):
        yield


def check_refusals(found):
    """What is wrong with a class that is found by its name is said when it is used."""
    german = found(language="de")
    for wrong, said in (
        (
            lambda: found().greet.remote("x"),
            r"Greeter\(\) needs language: write Greeter\(language=…\)",
        ),
        (lambda: found(language=1).greet.remote("x"), "declared as str, not int"),
        (lambda: german.shout.remote("x"), "has no method 'shout'; it has: greet, letters, limit"),
        (lambda: german.letters.remote("x"), "remote_gen"),
        (lambda: found.with_options(min_containers=1), "come on demand"),
        (lambda: offload.Function.from_name("deployed-classes", "Greeter").remote(), "is a class"),
    ):
        with pytest.raises(errors.InvalidError, match=said):
            wrong()


def test_a_deployed_class_is_found_by_name_and_used_with_parameters_from_outside_and_inside():
    deployed = offload.App("deployed-classes")

    @deployed.cls()
    class Greeter:
        language: str = offload.parameter()
        times: int = offload.parameter(default=1)

        @offload.enter()
        def load(self):
            self.word = {"en": "hello", "de": "hallo"}[self.language]

        @offload.method()
        def greet(self, name):
            return f"{self.word} {name}" * self.times

        @offload.method()
        def letters(self, name):
            yield from self.word + name

        @offload.method()
        def limit(self):
            return os.getenv("LIMIT"), self.language  # noqa: TID251  # the container's

    @deployed.function()
    def ask(language):
        return Greeter(language=language).greet.remote("inside")

    named = offload.Cls.from_name("deployed-classes", "Greeter")

    @deployed.function()
    def ask_by_name(language):
        small = named.with_options(timeout=20)
        return small(language=language).greet.remote("by name")

    deployed.deploy()

    found = offload.Cls.from_name("deployed-classes", "Greeter")
    german = found(language="de")
    assert german.greet.remote("Emmy") == "hallo Emmy"
    assert list(found(language="de", times=2).greet.map(["a", "b"])) == [
        "hallo ahallo a",
        "hallo bhallo b",
    ]
    assert found(language="en").greet.spawn("Carl").get() == "hello Carl"
    assert "".join(german.letters.remote_gen("L")) == "halloL"
    assert offload.Function.from_name("deployed-classes", "ask").remote("en") == "hello inside"
    assert (
        offload.Function.from_name("deployed-classes", "ask_by_name").remote("en")
        == "hello by name"
    )
    changed = found.with_options(env={"LIMIT": "3"}).with_concurrency(max_inputs=4)
    assert changed(language="de").limit.remote() == ("3", "de")
    check_refusals(found)


def test_containers_of_a_version_are_asked_for_by_its_number_and_share_out_inputs_as_their_caller_says():
    deployed = offload.App("deployed-batches")

    def define(factor):
        @deployed.cls()
        class Doubler:
            plus: int = offload.parameter(default=0)

            @offload.method()
            def double(self, numbers):
                if isinstance(numbers, list):
                    return [(number * factor + self.plus, "batch") for number in numbers]
                return numbers * factor + self.plus

    for factor in (2, 3):
        define(factor)
        deployed.deploy()
    found = offload.Cls.from_name("deployed-batches", "Doubler")
    first = offload.Cls.from_name("deployed-batches", "Doubler", version=1)
    batches = found.with_batching(max_batch_size=4, wait_ms=200)

    assert (found().double.remote(2), found(plus=1).double.remote(2)) == (6, 7)
    assert (first().double.remote(2), first(plus=1).double.remote(2)) == (4, 5)
    assert list(batches(plus=1).double.map([1, 2])) == [(4, "batch"), (7, "batch")]
