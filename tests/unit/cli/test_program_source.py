"""A program is what its file says at the moment."""

import os
import sys

from offload.cli.program import load_file


def test_a_program_that_was_changed_within_a_second_is_the_changed_one(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    program = tmp_path / "changing.py"
    numbers = []

    for number in (1, 2):
        program.write_text(f"NUMBER = {number}\n")
        os.utime(program, (1_000_000_000, 1_000_000_000))
        numbers.append(load_file(str(program)).NUMBER)
        sys.modules.pop("changing", None)

    assert numbers == [1, 2]
