"""Pickling for the journey: plain where that is right, by value where it is not."""

from __future__ import annotations

import ast
import io
import sys
import threading
import types
from pathlib import Path

import cloudpickle
import pytest

import offload
from offload.sdk import chains, serialize


class Holder:
    def __init__(self, part: object) -> None:
        self.part = part


def test_ordinary_values_come_back_without_cloudpickle() -> None:
    value = {"a": [1, 2.5, None, "x"], "b": (b"y", {3})}

    data = serialize.dumps(value)

    assert serialize.loads(data) == value
    assert b"cloudpickle" not in data


def test_instances_of_a_class_of_main_travel_with_their_class() -> None:
    main = sys.modules["__main__"]
    main.Point = type("Point", (), {"__module__": "__main__", "x": 7})
    try:
        data = serialize.dumps(main.Point())
    finally:
        del main.Point

    assert serialize.loads(data).x == 7


def test_a_module_registered_by_value_travels_whole() -> None:
    module = types.ModuleType("by_value_module")
    exec("class Thing:\n    x = 8", module.__dict__)  # noqa: S102
    sys.modules["by_value_module"] = module
    cloudpickle.register_pickle_by_value(module)
    try:
        data = serialize.dumps(module.Thing())
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules["by_value_module"]

    assert serialize.loads(data).x == 8


def test_files_hold_the_same_as_bytes() -> None:
    file = io.BytesIO()

    serialize.dump_to([1, lambda: 2], file)
    file.seek(0)
    one, two = serialize.load_from(file)

    assert (one, two()) == (1, 2)


def test_an_error_names_the_path_to_the_part_to_blame() -> None:
    with pytest.raises(serialize.SerializationError) as caught:
        serialize.dumps({"key": [Holder(threading.Lock())]}, "argument 1 of f()")

    message = str(caught.value)
    assert message.startswith("argument 1 of f() cannot be pickled")
    assert "attribute 'part'" in message
    assert "'key'" in message
    assert "_thread.lock" in message


def test_a_function_that_cannot_travel_names_its_closure_variable() -> None:
    connection = threading.Lock()

    def query():
        return connection

    assert "closure variable 'connection'" in (serialize.explain_unpicklable(query) or "")


def test_a_function_that_cannot_travel_names_its_global_variable() -> None:
    scope = {"__name__": "__main__", "connection": threading.Lock()}
    exec("def query():\n    return [connection for _ in 'a']", scope)  # noqa: S102

    assert "global variable 'connection'" in (serialize.explain_unpicklable(scope["query"]) or "")


def test_a_function_that_can_travel_needs_no_explanation() -> None:
    assert serialize.explain_unpicklable(lambda: 1) is None


def test_an_exception_keeps_cause_context_and_notes() -> None:
    error = ValueError("outer")
    error.__cause__ = KeyError("inner")
    error.add_note("note")

    loaded = serialize.loads(chains.dump_exception(error))

    assert repr(loaded) == repr(error)
    assert repr(loaded.__cause__) == repr(error.__cause__)
    assert loaded.__suppress_context__
    assert loaded.__notes__ == ["note"]


def test_an_exception_that_cannot_be_loaded_has_no_pickle() -> None:
    class TwoError(Exception):
        def __init__(self, a, b):
            super().__init__(a)

    assert chains.dump_exception(TwoError(1, 2)) is None


def test_a_cause_that_cannot_travel_does_not_hold_back_its_exception() -> None:
    error = ValueError("outer")
    error.__cause__ = KeyError(threading.Lock())

    loaded = serialize.loads(chains.dump_exception(error))

    assert isinstance(loaded, ValueError)
    assert "KeyError: <unlocked" in str(loaded.__cause__)


def test_exceptions_that_caused_each_other_end() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first

    assert isinstance(serialize.loads(chains.dump_exception(first)), ValueError)


@pytest.mark.parametrize(
    "part",
    ["runner", "wire/guest", "sdk/serialize.py", "sdk/chains.py", "errors.py", "__init__.py"],
)
def test_what_runs_in_users_environments_is_valid_on_the_oldest_python(part: str) -> None:
    root = Path(offload.__file__).parent / part
    files = [root] if root.is_file() else sorted(root.glob("*.py"))

    trees = [ast.parse(file.read_text(), feature_version=(3, 9)) for file in files]

    assert trees
