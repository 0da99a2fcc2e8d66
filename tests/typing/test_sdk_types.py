"""The type checker knows what remote calls give."""

import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).parent / "cases"
ROOT = Path(__file__).parent.parent.parent


def _check(name):
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(CASES / name)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=300,
    ).stdout  # fmt: skip


def test_remote_calls_have_the_types_of_their_functions():
    assert "Success" in _check("right.py")


def test_wrong_calls_are_refused_by_the_checker():
    output = _check("wrong.py")

    assert 'incompatible type "str"; expected "int"' in output
    assert 'Unexpected keyword argument "memry"' in output
    assert 'Unexpected keyword argument "idempotency_key"' in output
    assert 'Argument "after" to "with_options" of "Function" has incompatible type "int"' in output
    assert (
        'Argument "priority" to "with_options" of "Function" has incompatible type "str"' in output
    )
    assert 'Unexpected keyword argument "cpu"' in output
    assert 'Missing positional argument "value"' in output or "Too few arguments" in output
    assert "Found 8 errors" in output
