"""A program is what its file says at the moment."""

import os
import subprocess
import sys

PROGRAM = """
import os, sys
from pathlib import Path
from offload.cli.program import load

program = Path(sys.argv[1])
for number in (1, 2):
    program.write_text(f"NUMBER = {number}\\n")
    os.utime(program, (1_000_000_000, 1_000_000_000))
    print(load(str(program)).NUMBER)
    sys.modules.pop("changing", None)
"""


def test_a_program_that_was_changed_within_a_second_is_the_changed_one(tmp_path):
    environment = {"PATH": os.defpath}  # where nothing keeps Python from caching modules

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "changing.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["1", "2"]
