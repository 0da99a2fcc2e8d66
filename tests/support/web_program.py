"""A small HTTP server as a program of a user's: it echoes what it is sent, in chunks, and speaks WebSocket at /ws."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Be silent."""

    def do_GET(self):
        if self.path == "/ws":
            self.speak()
            return
        shown = {"path": self.path, "prefix": self.headers["X-Forwarded-Prefix"]}
        body = json.dumps(shown).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.read()
        self.send_response(201)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (body[:3], body[3:]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece.upper()))
        self.wfile.write(b"0\r\n\r\n")

    def read(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def speak(self):
        key = self.headers["Sec-WebSocket-Key"] + _GUID
        digest = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        while self.echo_frame() != 8:
            continue

    def echo_frame(self) -> int:
        first, second = self.rfile.read(2)
        size = second & 127
        if size == 126:
            size = int.from_bytes(self.rfile.read(2), "big")
        mask, masked = self.rfile.read(4), self.rfile.read(size)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
        length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
        self.wfile.write(bytes([first]) + length + data)
        return first & 15


def serve(port: int) -> None:
    """Listen at the port in a thread of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
