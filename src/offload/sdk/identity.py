"""Who is asking: what a reason says of a person, for those who wonder later why a call was cancelled."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def whoever_runs_this() -> str:
    """Return the user, the machine and the program, as in "ann@lab3 (train.py)"."""
    program = os.fsencode(program_name(sys.argv)).decode(
        errors="replace"
    )  # a file's name may be any bytes
    return f"{_user()}@{os.uname().nodename} ({program})"


def program_name(words: Sequence[str]) -> str:
    """Return what a person calls the program of this command line, without its arguments, which may be secret."""
    path = Path(words[0] if words else "")
    name = path.parent.name if path.name == "__main__.py" else path.name
    if name == "offload":
        # `offload run FILE` is how it started; the file is what a person knows it by.
        files = (word.partition("::")[0] for word in words[1:])
        return Path(next((file for file in files if file.endswith(".py")), name)).name
    return "python" if name in ("", "-c") else name


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without an account, as in many containers
        return f"uid {os.getuid()}"
