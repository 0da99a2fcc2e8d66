"""The named statements of the .sql files beside this module."""

from __future__ import annotations

import functools
import re
from importlib.resources import files

_NAMED = re.compile(r"^-- name: (\w+)\n((?:--[^\n]*\n)*)(.*?);$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"\bVALUES (\((?:[^()]|\([^()]*\))*\))")


@functools.cache
def statements(file_name: str) -> dict[str, str]:
    """Return the statements of a file by their names."""
    text = (files("offload.control.stores.sqlite") / file_name).read_text("utf-8")
    return {name: sql for name, _, sql in _NAMED.findall(text)}


@functools.cache
def for_rows(name: str, row_count: int, file_name: str = "write.sql") -> str:
    """Return a statement with its `VALUES (…)` repeated for `row_count` rows."""
    sql = statements(file_name)[name]
    row = _ROW.search(sql)
    if row is None:
        raise LookupError(f"{name} has no VALUES (…)")
    return sql[: row.start(1)] + ", ".join([row[1]] * row_count) + sql[row.end(1) :]
