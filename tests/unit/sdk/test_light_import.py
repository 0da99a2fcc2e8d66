import subprocess
import sys

import pytest

_HEAVY = (
    "asyncio",
    "google",
    "cloudpickle",
    "picows",
    "ssl",
    "uvloop",
    "grpc",
    "subprocess",
    "socket",
    "inspect",
    "dataclasses",
    "difflib",
    "json",
)


def _modules_after(statement):
    script = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


def test_import_offload_imports_next_to_nothing():
    ours = [name for name in _modules_after("import offload") if not name.startswith("_")]

    assert "offload" in ours
    assert len(ours) <= 5


@pytest.mark.parametrize("name", ["App", "Retries"])
def test_the_public_names_of_a_script_bring_nothing_heavy(name):
    loaded = {module.partition(".")[0] for module in _modules_after(f"from offload import {name}")}

    assert not loaded.intersection(_HEAVY)


def test_decorating_brings_nothing_heavy_and_little_else():
    script = "import offload; app = offload.App('x'); f = app.function(name='f', cpu=1)(lambda: 0)"

    loaded = _modules_after(script)

    assert not {module.partition(".")[0] for module in loaded}.intersection(_HEAVY)
    assert len(loaded) <= 60
