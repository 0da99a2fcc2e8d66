"""Whether two pickles hold the same code, although no two processes pickle it to the same bytes.

cloudpickle names each class that it sends by value by a number drawn in its process, sets come in the order of this
process's hashes, and a text is written again or referred back to depending on whether two of them are one object. What is
left of a pickle without these three is the same for the same program, and nothing else of it is left out.
"""

from __future__ import annotations

import hashlib
import pickletools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from offload.sdk.source import own_modules

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

_SETS = ("FROZENSET", "ADDITEMS")
_RECALLS = ("BINGET", "LONG_BINGET", "GET")


def of_code(data: bytes) -> str:
    """Return what is the same for pickles of the same code."""
    hashed = hashlib.sha256()
    for token in _tokens(data):
        hashed.update(f"{len(token)}:{token}".encode(errors="surrogatepass"))
    return hashed.hexdigest()


def of_files(by_value: Iterable[ModuleType]) -> str:
    """Return what is the same while the user's own modules are, without those that travel by value.

    Those are what is loaded by now from outside the Python installation and its packages.
    """
    without = {module.__name__ for module in by_value}
    hashed = hashlib.sha256()
    for name, file in own_modules():
        if name not in without:
            hashed.update(f"{name}\0".encode() + hashlib.sha256(_read(Path(file))).digest())
    return hashed.hexdigest()


def _tokens(data: bytes) -> list[str]:
    ids = _class_ids()
    tokens: list[str] = []
    memo: list[str] = []  # by the place that a text or object was remembered at
    marks: list[int] = []
    objects = 0
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in {"MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"}:
            last = tokens[-1]
            if not last.startswith("text "):
                objects += 1
                last = f"object {objects}"
            memo.append(last)
        elif name in _RECALLS:
            tokens.append(memo[int(argument or 0)])
        elif name == "FRAME":
            continue
        elif isinstance(argument, str) and "UNICODE" in name:
            tokens.append("text " + ("a class" if argument in ids else argument))
        else:
            if name == "MARK":
                marks.append(len(tokens))
            elif any(stack.name == "mark" for stack in opcode.stack_before) and marks:
                start = marks.pop()
                if name in _SETS:
                    tokens[start:] = sorted(tokens[start:])
            tokens.append(f"{name} {argument!r}")
    return tokens


def _class_ids() -> set[str]:
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    return set(getattr(cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_CLASS", {}).values())


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""  # it was there when it was imported: a package in a zip file, or removed since
