"""Parts of apps, their defaults, functions by name, and what makes code the same."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

import offload
from offload.errors import InvalidError
from offload.sdk import fingerprint

PROGRAM = """
import sys
import cloudpickle
from offload.sdk import fingerprint

class Thing:
    size = {size}
    def __init__(self, x):
        self.x = x

KNOWN = frozenset(["ape", "bee", "cat", "dog", "eel", "fox"])

def work(x):
    if x in {{"one", "two", "three", "four", "five"}} or x in KNOWN:
        return Thing(x).x
    return "ape", "one"

print(fingerprint.of_code(cloudpickle.dumps(work)))
"""


def fingerprint_in_a_process(seed, size=1):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(size=size)],
        env={"PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_the_same_code_has_the_same_fingerprint_in_every_process():
    found = {fingerprint_in_a_process(seed) for seed in range(5)}

    assert len(found) == 1
    assert fingerprint_in_a_process(0, size=2) not in found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a", "b"], ["b", "a"]),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 2}),
        ({"a", "b"}, {"a", "c"}),
        (("a", ("b",)), (("a",), "b")),
        ("aa", "a"),
        ([[], []], [[]]),
    ],
)
def test_other_values_have_other_fingerprints(one, other):
    assert fingerprint.of_code(pickle.dumps(one)) != fingerprint.of_code(pickle.dumps(other))


def test_an_app_takes_in_the_functions_of_another_with_their_defaults():
    image = offload.Image.local()
    part = offload.App("part", image=image)
    part.function(name="helps")(lambda: 1)
    whole = offload.App("whole")
    whole.function(name="works")(lambda: 1)

    assert whole.include(part) is whole
    assert list(whole.functions) == ["works", "helps"]
    assert whole.functions["helps"].options.image is image
    assert whole.functions["works"].options.image is None
    assert pickle.loads(pickle.dumps(part)).name == "whole"  # noqa: S301 what this process pickled


def test_functions_and_classes_have_what_their_app_has_besides_their_own():
    kept, own = (offload.Volume.from_name(name) for name in ("kept", "own"))
    shared, last = (offload.Secret.from_name(name) for name in ("shared", "last"))
    app = offload.App("defaults", secrets=[shared], volumes={"/kept": kept, "/data": kept})

    plain = app.function(name="plain")(lambda: 1)
    other = app.function(name="other", secrets=[last], volumes={"/data": own})(lambda: 1)

    assert plain.options.volumes == {"/kept": kept, "/data": kept}
    assert other.options.volumes == {"/kept": kept, "/data": own}
    assert (plain.options.secrets, other.options.secrets) == ((shared,), (shared, last))
    with pytest.raises(InvalidError, match=r"volumes\['/data'\]='x' is not a volume"):
        offload.App("wrong", volumes={"/data": "x"})


def test_apps_that_cannot_be_one_are_refused():
    part, whole = offload.App("part"), offload.App("whole")
    part.function(name="same")(lambda: 1)
    whole.function(name="same")(lambda: 1)

    with pytest.raises(InvalidError, match="both have 'same'"):
        whole.include(part)
    with pytest.raises(InvalidError, match=r"takes another offload\.App"):
        whole.include(whole)
    other = offload.App("other").include(part)
    with pytest.raises(InvalidError, match=r"takes another offload\.App"):
        part.include(other)


def test_tags_are_texts():
    app = offload.App("x", tags={"team": "data"})
    app.set_tags({"owner": "ann"})

    assert app.tags == {"owner": "ann"}
    with pytest.raises(InvalidError, match="is not a dict of strings"):
        app.set_tags({"owner": 1})


def test_a_function_by_name_is_a_function_that_is_elsewhere():
    found = offload.Function.from_name("shop", "price", version=3, environment_name="prod")
    copied = pickle.loads(pickle.dumps(found.with_options(priority=2)))  # noqa: S301 what this process pickled

    assert repr(found) == "<Function price of deployed app 'shop'>"
    assert isinstance(copied, offload.Function)
    assert (copied.name, copied.call_options.priority) == ("price", 2)
    with pytest.raises(InvalidError, match=r"on the server alone: write price\.remote"):
        found.local(1)
    with pytest.raises(InvalidError, match=r"cpu of price\(\) is what it was deployed with"):
        found.with_options(cpu=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "f"), "'' is no name of an app"),
        (("shop", " "), "' ' is no name of a function"),
        (("shop", 3), "3 is no name of a function"),
    ],
)
def test_what_can_be_no_name_is_refused(arguments, message):
    with pytest.raises(InvalidError, match=message):
        offload.Function.from_name(*arguments)
    for version, said in (
        (1.5, "is neither a number nor a tag"),
        (True, "is neither a number nor a tag"),
        (0, "they count from 1"),
        (-1, "they count from 1"),
        ("", "is no tag"),
    ):
        with pytest.raises(InvalidError, match=said):
            offload.Function.from_name("shop", "f", version=version)
