"""Volumes on this machine: what containers see of them, and what becomes of what containers write."""

from offload.worker.volumes.view import VolumeError
from offload.worker.volumes.volumes import Mounts, Volumes

__all__ = ["Mounts", "VolumeError", "Volumes"]
