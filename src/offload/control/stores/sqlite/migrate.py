"""Bringing a database to the schema of this release."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from offload.control.ports.store import StoreError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

# A BlobRef as protobuf writes it: field 1, 64 bytes, the SHA-256 in hex.
_BLOB_REF = re.compile(rb"\x0a\x40([0-9a-f]{64})")


def migrations() -> list[str]:
    """Return the scripts in order; the first is number 1."""
    folder = files("offload.control.stores.sqlite") / "migrations"
    scripts = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".sql")}
    for number, name in enumerate(sorted(scripts), start=1):
        if not name.startswith(f"{number:04d}_"):
            raise LookupError(f"migration {number} is missing: found {name}")
    return [scripts[name].read_text("utf-8") for name in sorted(scripts)]


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing, each migration whole or not at all; refuse a database from a later release."""
    scripts = migrations()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(scripts):
        raise StoreError(
            f"The database {path} has schema {version}, and this release of offload knows only up to {len(scripts)}: "
            "upgrade offload, or choose another data directory."
        )
    connection.create_function("named_blob", 1, _named_blob, deterministic=True)
    connection.create_function("named_blobs", 2, _named_blobs, deterministic=True)
    for number, script in enumerate(scripts[version:], start=version + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _named_blob(encoded: bytes) -> str:
    found = _BLOB_REF.search(encoded)
    return found[1].decode("ascii") if found else ""


def _named_blobs(encoded: bytes, without: str) -> str:
    found = {match.decode("ascii") for match in _BLOB_REF.findall(encoded)}
    return json.dumps(sorted(found - {without}))
