"""What is public is exported, importable and in the reference."""

import inspect
import re
from pathlib import Path

import pytest

import offload
from offload import errors

REFERENCE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "sdk.md").read_text()
ERRORS = [
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and value.__module__ == "offload.errors"
]


@pytest.mark.parametrize("name", offload.__all__)
def test_every_public_name_exists_and_is_in_the_reference(name):
    assert getattr(offload, name) is not None
    assert re.search(rf"`(offload\.)?{name}\b", REFERENCE)


@pytest.mark.parametrize("name", ERRORS)
def test_every_public_exception_is_in_the_reference_and_says_what_to_do(name):
    assert f"`{name}`" in REFERENCE
    assert getattr(errors, name).__doc__


@pytest.mark.parametrize(
    "kind", [offload.App, offload.Function, offload.FunctionCall, offload.DeadLetter]
)
def test_every_public_method_is_in_the_reference(kind):
    internal = {
        "answer_requests", "current_run", "is_class", "is_generator", "is_partial", "is_variant", "items_of", "register", "share_containers", "wait_ended",
        "with_included",
    }  # fmt: skip
    public = {name for name in vars(kind) if not name.startswith("_")} - internal

    missing = {name for name in public if not re.search(rf"\b{name}\b", REFERENCE)}

    assert not missing


def test_dir_shows_what_is_public():
    assert set(offload.__all__) <= set(dir(offload))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        offload.nothing  # noqa: B018  # the access is what is tested
