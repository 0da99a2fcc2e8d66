"""Whose namespace a container of an engine is given its network in."""

from __future__ import annotations

import os

import pytest

from offload.worker.ports import ContainerStartError
from offload.worker.runtimes.docker_network import _open_namespace


def test_a_process_whose_group_does_not_name_the_container_is_another() -> None:
    with pytest.raises(ContainerStartError, match="numbers processes otherwise"):
        _open_namespace(os.getpid(), "0" * 64)


def test_a_process_that_has_gone_has_no_namespace() -> None:
    with pytest.raises(ContainerStartError, match="its first process is not there"):
        _open_namespace(0, "0" * 64)
