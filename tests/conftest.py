"""Settings for every test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.support.docker_daemon import NoDockerError, docker_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

# A slow machine is no failure; how long a test may take at all is pytest-timeout's business. The same examples are
# drawn each time, so that what was green stays green; `--hypothesis-profile=explore` draws new ones and more of them.
settings.register_profile("offload", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("offload")


@pytest.fixture(scope="session")
def docker_socket() -> Iterator[str]:
    """Give a Docker Engine for all tests together, or skip where there can be none."""
    try:
        with docker_daemon() as path:
            yield path
    except NoDockerError as error:
        pytest.skip(str(error))


# What needs containers that are forked from templates.
_OF_FORKS = (
    "contracts/test_template.py",
    "integration/test_sdk_templates.py",
    "integration/test_worker_templates.py",
    "security/test_templates.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what forks containers where the environment lies in /tmp: a fork has a /tmp of its own, so none is made."""
    if not Path(sys.prefix).resolve().is_relative_to("/tmp"):  # noqa: S108
        return
    skip = pytest.mark.skip(reason="a container is not forked where its environment lies in /tmp")
    for item in items:
        values = (
            item.callspec.params.values()
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else ()
        )
        is_forked = any("forked" in value for value in values if isinstance(value, str | tuple))
        if is_forked or str(item.path).endswith(_OF_FORKS):
            item.add_marker(skip)
