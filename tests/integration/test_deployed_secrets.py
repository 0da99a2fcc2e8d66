"""Secrets without a name in deployed apps, and defaults of apps, through the SDK and a whole stack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import offload
from offload import testing


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory):
    with testing.local_stack(tmp_path_factory.mktemp("stack")):
        yield


def an_app(token: str) -> offload.App:
    volume = offload.Volume.from_name("own-secrets", create_if_missing=True)
    secret = offload.Secret.from_dict({"TOKEN": token})
    app = offload.App("own-secrets", secrets=[secret], volumes={"/kept": volume})

    @app.function()
    def length():
        return Path("/kept").is_dir(), len(os.environ["TOKEN"])  # noqa: TID251  # where a secret is

    @app.cls()
    class Holder:
        @offload.method()
        def length(self):
            return Path("/kept").is_dir(), len(os.environ["TOKEN"])  # noqa: TID251  # as above

    return app


def test_a_deployed_app_takes_its_secrets_along_and_the_same_are_the_same_version():
    done = [an_app(token).deploy() for token in ("correct horse", "correct horse", "battery")]

    length = offload.Function.from_name("own-secrets", "length")
    before = offload.Function.from_name("own-secrets", "length", version=1)
    holder = offload.Cls.from_name("own-secrets", "Holder")()

    assert [each.version for each in done] == [1, 1, 2]
    assert [each.is_unchanged for each in done] == [False, True, False]
    assert (length.remote(), before.remote()) == ((True, 7), (True, 13))
    assert holder.length.remote() == (True, 7)
    assert offload.Secret.list() == []
