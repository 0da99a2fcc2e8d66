"""The values that frontends see of dicts and queues."""

from offload.control.ports.contents import Entry, Item, Request, Value

__all__ = ["Entry", "Item", "Request", "Value"]
