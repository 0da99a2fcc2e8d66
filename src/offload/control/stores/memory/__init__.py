"""The store of tests and simulations."""

from offload.control.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
