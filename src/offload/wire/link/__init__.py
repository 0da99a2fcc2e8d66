"""The link: every method of the schema over one WebSocket, many requests at once, with flow control.

Each side numbers nothing but requests: the client opens a stream per request, under a number of its own. Frames are
described in `frames`, what holds a fast sender back in `flow`. Both sides ping an idle connection, so that a silent
break is noticed within `PING_SECONDS` twice over.
"""

from offload.wire.link.client import Link, connect
from offload.wire.link.requests import Stream
from offload.wire.link.server import HttpAnswer, LinkServer, ServeOptions, serve

__all__ = ["HttpAnswer", "Link", "LinkServer", "ServeOptions", "Stream", "connect", "serve"]
