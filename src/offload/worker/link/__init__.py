"""The worker's one session with its server."""

from offload.worker.link.consoles import ConsoleLink
from offload.worker.link.platform import PlatformLink
from offload.worker.link.secrets import SecretLink
from offload.worker.link.session import Dial, Listener, RefusedError, Session, SessionOptions
from offload.worker.link.volumes import VolumeLink

__all__ = [
    "ConsoleLink",
    "Dial",
    "Listener",
    "PlatformLink",
    "RefusedError",
    "SecretLink",
    "Session",
    "SessionOptions",
    "VolumeLink",
]
