"""Paths with names in them: "/users/{user_id}", and "/files/{rest:path}", which takes what is below it.

Valid on CPython 3.9, because the runner matches them in containers.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from types import CodeType
    from typing import NamedTuple
else:
    from offload.wire.records import NamedTuple

_NAMED = re.compile(r"\{([^{}]*)\}")
_KINDS = {"": "[^/]+", "path": ".+"}


class PathError(ValueError):
    """It is no path of an endpoint, or its function cannot answer it."""


class Template(NamedTuple):
    """A path, read."""

    names: tuple[str, ...]
    pattern: re.Pattern[str]

    def match(self, path: str) -> dict[str, str] | None:
        """Return what stands in the places of the names; None where it is another path."""
        found = self.pattern.fullmatch(path) or self.pattern.fullmatch(path.rstrip("/"))
        return None if found is None else found.groupdict()


def parse_path(path: str) -> Template:
    """Return the template. Raises `PathError`."""
    pattern, names, at = "", [], 0
    for found in _NAMED.finditer(path):
        name, _, kind = found[1].partition(":")
        if not name.isidentifier() or kind not in _KINDS:
            raise PathError(
                f"{found[0]} is no name of a parameter: write {{name}}, or {{name:path}} for all that follows"
            )
        if name in names:
            raise PathError(f"{{{name}}} stands there twice")
        pattern += f"{re.escape(path[at : found.start()])}(?P<{name}>{_KINDS[kind]})"
        names.append(name)
        at = found.end()
    rest = path[at:]
    if "{" in rest or "}" in rest:
        raise PathError("a brace is not closed")
    return Template(tuple(names), re.compile(pattern + re.escape(rest)))


def check_parameters(code: CodeType, function_name: str, path: str) -> None:
    """Refuse a path whose names the function does not take, or parameters that no request can give. Raises `PathError`."""
    taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if code.co_posonlyargcount or code.co_flags & (
        0x04 | 0x08
    ):  # inspect.CO_VARARGS | CO_VARKEYWORDS
        raise PathError(
            f"{function_name}() takes parameters without names, and a request gives them by name: name each of them"
        )
    missing = [name for name in parse_path(path).names if name not in taken]
    if missing and "request" not in taken:
        raise PathError(f"{function_name}() has no parameter {missing[0]!r} for {{{missing[0]}}}")
