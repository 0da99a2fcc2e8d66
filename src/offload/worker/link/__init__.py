"""The worker's one session with its server."""

from offload.worker.link.session import RefusedError, Session, SessionOptions

__all__ = ["RefusedError", "Session", "SessionOptions"]
