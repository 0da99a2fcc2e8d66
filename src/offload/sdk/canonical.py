"""The same bytes for the same pickled value, in whichever process it was pickled.

Pickle writes a string that it meets again as a reference where it is the same object, and as itself where it is only
equal. Which of both depends on whether a module came from its source or from its compiled file. Constant sets come in the
order of their hashes, which are other ones in each process.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass

_TEXTS = {
    *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
_ATOMS = {
    *_TEXTS,
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINFLOAT",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
}
_POPS_MARK = {
    code.name
    for code in pickletools.opcodes
    if pickletools.markobject in code.stack_before and code.name != "MARK"
}
_GETS = {"BINGET", "LONG_BINGET"}


@dataclass(slots=True)
class _Operation:
    name: str
    data: bytes


def canonical(pickled: bytes) -> bytes:
    """Return a pickle of protocol 4 or later with every string written out, and constant sets in order."""
    made: list[_Operation] = []
    marks: list[int] = []
    memo: list[bytes | int] = []  # a text itself, or the new number of something else
    others = 0
    for name, argument, data in _operations(pickled):
        if name == "FRAME":
            continue
        if name == "MEMOIZE" and made[-1].name in _TEXTS:
            memo.append(made[-1].data)
            continue
        if name in _GETS:
            made.append(_reference(memo[int(str(argument))]))
            continue
        if name == "MEMOIZE":
            memo.append(others)
            others += 1
        elif name == "MARK":
            marks.append(len(made))
        elif name in _POPS_MARK:
            mark = marks.pop() + 1
            if name == "FROZENSET" and all(item.name in _ATOMS for item in made[mark:]):
                made[mark:] = sorted(made[mark:], key=lambda item: item.data)
        made.append(_Operation(name, data))
    return b"".join(operation.data for operation in made)


def _reference(known: bytes | int) -> _Operation:
    if isinstance(known, bytes):
        return _Operation("BINUNICODE", known)
    if known < 256:
        return _Operation("BINGET", b"h" + bytes([known]))
    return _Operation("LONG_BINGET", b"j" + known.to_bytes(4, "little"))


def _operations(pickled: bytes) -> list[tuple[str, object, bytes]]:
    found = list(pickletools.genops(pickled))
    ends = [*(position for _, _, position in found[1:]), len(pickled)]
    return [
        (code.name, argument, pickled[position or 0 : end])
        for (code, argument, position), end in zip(found, ends, strict=True)
    ]
