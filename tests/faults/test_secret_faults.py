"""The server killed at every write about secrets: what is found can be read, and is the state before or after."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.secret_scenes import SCENES, look, prepare, with_services

from offload.control.stores.keyring import FileKeyring

if TYPE_CHECKING:
    from pathlib import Path


def play(folder: Path, scene: str, moment: int, root: Path) -> bool:
    """Play a scene in a process that is killed at a moment of it; return whether it came to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.secret_scenes", str(folder), scene, str(moment)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_a_kill_at_any_write_leaves_every_secret_readable_as_before_or_after(
    tmp_path: Path, pytestconfig: pytest.Config, scene: str
) -> None:
    template = tmp_path / "template"
    template.mkdir()
    with_services(template, prepare)
    before = with_services(template, look)
    reference = tmp_path / "reference"
    shutil.copytree(template, reference)
    with_services(reference, SCENES[scene])
    after = with_services(reference, look)

    found = []
    while True:
        folder = tmp_path / str(len(found))
        shutil.copytree(template, folder)
        is_complete = play(folder, scene, len(found), pytestconfig.rootpath)
        found.append(with_services(folder, look))
        # Whoever starts next has finished what was begun.
        assert not FileKeyring(folder / "secrets.key").has_old
        if is_complete:
            break

    assert len(found) > 2
    assert [each for each in found if each not in (before, after)] == []
    assert (found[0], found[-1]) == (before, after)
