"""The inputs desk: gives inputs to ready containers and says what became of them."""

from offload.worker.inputs.desk import Desk
from offload.worker.inputs.options import DeskOptions, Guest, Uplink

__all__ = ["Desk", "DeskOptions", "Guest", "Uplink"]
