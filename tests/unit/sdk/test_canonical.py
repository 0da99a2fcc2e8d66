"""The same bytes for the same value, whichever objects it is made of."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.sdk.canonical import canonical

if TYPE_CHECKING:
    from pathlib import Path


def back_from(value):
    return pickle.loads(canonical(pickle.dumps(value)))  # noqa: S301  # our own


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.text() | st.integers())
    ),
)


@given(PLAIN)
def test_a_value_comes_back_as_it_was(value):
    twice = [value, value]

    back = back_from(twice)

    assert back == twice
    assert back[0] is back[1] or not isinstance(value, list | dict)


def test_what_refers_to_itself_still_does():
    value: list[object] = ["a"]
    value.append(value)

    back = back_from(value)

    assert back[1] is back


def test_equal_strings_are_written_as_the_same_one():
    one, other = str(b"ab", "ascii"), str(b"ab", "ascii")

    assert pickle.dumps([one, one]) != pickle.dumps([one, other])
    assert canonical(pickle.dumps([one, one])) == canonical(pickle.dumps([one, other]))


def test_many_objects_keep_their_references():
    shared = [[number] for number in range(400)]

    back = back_from([shared, list(shared)])

    assert all(one is other for one, other in zip(*back, strict=True))


PROGRAM = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import cloudpickle, fetching
from offload.sdk.image_content import PickledCall
cloudpickle.register_pickle_by_value(fetching)
print(hashlib.sha256(PickledCall(fetching.fetch, ("small",), {"to": "/opt"}, "fetch").read()).hexdigest())
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_function_is_the_same_from_its_source_and_from_its_compiled_file(
    tmp_path: Path, seed: str
):
    (tmp_path / "fetching.py").write_text(
        'KINDS = "small"\n\ndef fetch(name, to):\n    return name in {"small", "large", KINDS} or name in {"x", "y", "z", 3, 4}\n'
    )

    def digest(hash_seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path)],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    from_source, compiled = digest("0"), digest(seed)

    assert from_source == compiled
