"""Users whose machine fails them."""

import pytest
from tests.support.acceptance import User


@pytest.fixture
def user(tmp_path):
    """Return a user of one test, whose processes end with it."""
    someone = User(tmp_path)
    yield someone
    someone.end()
