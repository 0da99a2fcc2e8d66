"""Users for the acceptance tests."""

import pytest
from tests.support.acceptance import User


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
