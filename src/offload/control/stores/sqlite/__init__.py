"""The store of one machine: a SQLite database in WAL mode."""

from offload.control.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
