"""Users for the acceptance tests, and an image for them to begin with."""

import os
import shutil
import sys

import pytest
from tests.support.acceptance import User
from tests.support.oci import Layer, start_registry
from tests.support.tiny_image import PYTHON, tiny_root, why_impossible


@pytest.fixture
def user(tmp_path):
    """Return a user of one test, whose processes end with it."""
    someone = User(tmp_path)
    yield someone
    someone.end()


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory):
    """Return a user whose stack is shared by the tests of a module that do it no harm."""
    someone = User(tmp_path_factory.mktemp("user"))
    yield someone
    someone.end()


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """Return the reference of a small image with Python: the system's, of the caller's version, as code by value needs it."""
    if shutil.which("docker-registry") is None:
        pytest.skip("needs a registry: apt install docker-registry")
    if why_impossible() or not os.path.realpath(PYTHON).endswith(f"3.{sys.version_info.minor}"):
        pytest.skip(why_impossible() or "the system's Python is of another version than this one")
    registry = start_registry(tmp_path_factory.mktemp("registry"))
    registry.push("team/base:1", [Layer(tiny_root())], env=("FROM_IMAGE=yes",))
    yield f"{registry.address}/team/base:1"
    registry.close()
