"""The console: runs one program for a person in a container, beside the runner, on a terminal of the container's own or on pipes.

Started as `python -I -S console.py GUEST_ROOT [KEYS=1] [OWNER=UID] [CALLS=HEX] LIMIT=VALUE …` inside the sandbox of a container that runs, with
the worker at descriptors 0 and 1. It is a process of its own, so whatever user code does to its interpreter, it answers. The
program ends with the conversation: when the worker hangs up, everything of the program's session is killed. Must stay valid on
CPython 3.9 and import nothing but the standard library.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NoReturn


def prepare(words: list[str]) -> None:
    """Take the limits that every process of the container has, before anything else, and what filter of calls there is."""
    from offload.runner.boot import set_limit  # noqa: PLC0415 - found only through the path set below

    for word in words:
        name, _, value = word.partition("=")
        if name == "CALLS":
            from offload.runner.call_filter import install_filter  # noqa: PLC0415 - rare

            install_filter(bytes.fromhex(value))
        elif name == "OWNER":
            from offload.runner.file_owner import own_files  # noqa: PLC0415 - rare

            own_files(int(value))
        else:
            set_limit(name, int(value))


def main(arguments: list[str]) -> NoReturn:
    """Obey the worker until its program has ended or the worker is gone."""
    sys.path.insert(0, arguments[0])
    words = arguments[1:]
    takes_keys = words[:1] == ["KEYS=1"]
    prepare(words[1:] if takes_keys else words)
    from offload.runner.console_session import Session  # noqa: PLC0415 - found only through the path set above

    Session(0, 1, takes_keys=takes_keys).run()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
