"""Reading `.env` files: NAME=VALUE a line, as shells and most tools that read such files understand it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from offload.errors import InvalidError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r"[^\n]*")
_NOTHING = re.compile(r"\s*(?:#[^\n]*)?(?:\n|$)")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|$)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read(path: Path) -> dict[str, str]:
    """Return the variables of a file. Raises `InvalidError` naming the line that cannot be read, and never its content."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidError(f"cannot read {path}: {reason}") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> dict[str, str]:
    """Return the variables of the text of a file of that name. Raises as `read`."""
    values = {}
    at = 0
    while at < len(text):
        nothing = _NOTHING.match(text, at)
        if nothing is not None:
            at = max(nothing.end(), at + 1)
            continue
        variable = _NAME.match(text, at)
        found = _value(text, variable.end()) if variable is not None else None
        if variable is None or found is None:
            line = text.count("\n", 0, at) + 1
            raise InvalidError(f"line {line} of {name} is not NAME=VALUE, with quotes that end")
        values[variable[1]], at = found
    return values


def _value(text: str, at: int) -> tuple[str, int] | None:
    """Return a value and where the next line begins; None where its quotes are wrong."""
    opening = text[at : at + 1]
    if opening in ("'", '"'):
        quoted = (_SINGLE if opening == "'" else _DOUBLE).match(text, at)
        rest = _REST.match(text, quoted.end()) if quoted is not None else None
        if quoted is None or rest is None:
            return None
        value = quoted[1]
        if opening == '"':
            value = re.sub(r"\\(.)", lambda e: _ESCAPES.get(e[1], e[1]), value, flags=re.DOTALL)
        return value, rest.end()
    bare = _BARE.match(text, at)
    end = bare.end() if bare is not None else at
    value = re.sub(r"(^|\s)#.*", "", text[at:end]).strip()
    return value, end + 1
