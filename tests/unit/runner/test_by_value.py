"""Functions that cloudpickle sent by value come back the same without it."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import cloudpickle
import pytest
from cloudpickle import cloudpickle as insides

from offload.runner.by_value import load_code

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = """
import math, os.path, xml.etree.ElementTree
from collections import namedtuple

BASE = 10

def plain(x=1): return x + BASE
def documented(x: int, *, y: str = "y") -> str:
    "Says both."
    return f"{x}{y}"
def recursive(n): return n and n + recursive(n - 1)
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def outer(step):
    total = 0
    def inner(value):
        nonlocal total
        total += value * step
        return total
    return inner
counter = outer(3)
def unassigned():
    def inner(): return later
    if False: later = 1
    return inner
never = unassigned()
def modules(): return math.floor(2.5), os.path.basename("a/b"), xml.etree.ElementTree.fromstring("<a/>").tag
def generator(): yield from range(3)
def marked(): return marked.mark
marked.mark = "m"
class Point:
    def __init__(self, x): self.x = x
    def double(self): return self.x * 2
def with_class(): return Point(4).double()
Pair = namedtuple("Pair", "a b")
def with_named_tuple(): return Pair(1, 2).b
bound = Point(8).double
nested = lambda: (lambda: plain(5))()
"""


def by_value(name: str) -> object:
    """An object of a script that the other side cannot import."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec(SCRIPT, namespace)  # noqa: S102 - as a script is run
    return namespace[name]


def load(data: bytes) -> object:
    return load_code(io.BytesIO(data))


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("plain", lambda f: (f(), f(x=4), f.__globals__["__name__"], f.__globals__.keys())),
        (
            "documented",
            lambda f: (
                f(1),
                (f.__doc__, f.__name__, f.__qualname__, f.__module__),
                (f.__annotations__, f.__defaults__, f.__kwdefaults__),
            ),
        ),
        ("recursive", lambda f: f(4)),
        ("even", lambda f: [f(5), f(6), f.__globals__ is f.__globals__["odd"].__globals__]),
        ("counter", lambda f: [f(1), f(1), f.__closure__[0].cell_contents]),
        ("never", lambda f: f.__closure__[0] == type(f.__closure__[0])()),
        ("modules", lambda f: f()),
        ("generator", lambda f: list(f())),
        ("marked", lambda f: f()),
        ("with_class", lambda f: f()),
        ("with_named_tuple", lambda f: f()),
        ("bound", lambda f: f()),
        ("nested", lambda f: f()),
    ],
)
def test_a_function_comes_back_as_cloudpickle_itself_brings_it_back(
    name: str, look: Callable[[object], object]
):
    data = cloudpickle.dumps(by_value(name), 5)

    loaded, expected = load(data), cloudpickle.loads(data)

    assert look(loaded) == look(expected)


def test_submodules_that_a_function_uses_are_imported_with_it():
    data = cloudpickle.dumps(by_value("modules"), 5)
    script = (
        "import io, sys; from offload.runner.by_value import load_code;"
        f"load_code(io.BytesIO({data!r})); print(*sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert {"os.path", "xml.etree.ElementTree"} <= set(done.stdout.split())
    assert "cloudpickle" not in done.stdout.split()


class _OfAnotherVersion(cloudpickle.Pickler):
    """Sends one more part of a function's state than is known here."""

    def reducer_override(self, obj):
        reduced = super().reducer_override(obj)
        if isinstance(reduced, tuple) and reduced[0] is insides._make_function:
            reduced[2][1]["later"] = "than ours"
        return reduced


def test_a_function_in_another_cloudpickles_form_is_loaded_by_cloudpickle():
    file = io.BytesIO()
    _OfAnotherVersion(file).dump(by_value("plain"))

    loaded = load(file.getvalue())

    assert loaded() == 11
    assert loaded.later == "than ours"


class _Failing:
    def __reduce__(self):
        return int, ("no number",)


def test_what_user_code_raises_while_it_is_loaded_passes_through():
    data = cloudpickle.dumps(_Failing())

    with pytest.raises(ValueError, match="no number"):
        load(data)
