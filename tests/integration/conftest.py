"""A person who runs programs of their own on a local stack."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from offload import testing


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stack")
    with testing.local_stack(directory):
        yield directory


@pytest.fixture
def folder():
    # pytest's own folders are closed to the user that containers of root run as.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def person(stack, folder):
    """Return a function that runs Python in a folder of the person's own, with `text` typed at it."""

    def run(*arguments, text=None, python=sys.executable):
        return subprocess.run(
            [python, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=folder,
            env={**os.environ, "OFFLOAD_DATA_DIR": str(stack)},  # noqa: TID251  # the person's own
        )

    return run
