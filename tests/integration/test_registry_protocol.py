"""What registries ask before they give: tokens, redirects, broken connections, false bytes. With a scripted one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from offload.worker.images.references import Descriptor, Reference, RegistryError
from offload.worker.images.registry import Registry

BLOB = bytes(range(256)) * 4096
SIZE = len(BLOB)
DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()
MANIFEST = json.dumps({"config": {"digest": DIGEST, "size": 1}, "layers": []}).encode()


class Scripted(BaseHTTPRequestHandler):
    """A registry with knobs, on the server's `knobs`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        knobs = self.server.knobs
        knobs["asked"].append((self.path, dict(self.headers)))
        path = urlsplit(self.path)
        if path.path == "/token":
            knobs["scope"] = parse_qs(path.query)["scope"][0]
            return self._answer(200, json.dumps({"token": "t0ken"}).encode())
        if path.path == "/elsewhere":
            return self._blob(knobs)
        if knobs.get("wants_token") and self.headers.get("Authorization") != "Bearer t0ken":
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="s",scope="repository:a:pull"'
            return self._answer(401, b"", {"WWW-Authenticate": realm})
        if "/blobs/" in path.path:
            return self._redirect(knobs) if knobs.get("redirects_to") else self._blob(knobs)
        return self._answer(200, knobs.get("manifest", MANIFEST))

    def _redirect(self, knobs):
        self._answer(307, b"", {"Location": f"{knobs['redirects_to']}/elsewhere"})

    def _blob(self, knobs):
        data = knobs.get("blob", BLOB)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if knobs.pop("breaks", False):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            self.wfile.flush()
            self.connection.close()
            return
        self._answer(206 if start else 200, data[start:])

    def _answer(self, code, data, headers=()):
        self.send_response(code)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def serving(**knobs):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.knobs = {"asked": [], **knobs}
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a connection that is broken on purpose
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", server.knobs
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def registry(address, secret=(), tag="1"):
    return Registry(Reference(address, "a", tag), dict(secret))


def fetched(one, size=SIZE):
    file = io.BytesIO()
    one.fetch(Descriptor(DIGEST, size, ""), file, lambda _: None)
    return file.getvalue()


def test_a_token_is_asked_for_where_the_registry_says_and_used_from_then_on():
    with serving(wants_token=True) as (address, knobs):
        one = registry(address)

        one.manifest()
        one.manifest()

    assert knobs["scope"] == "repository:a:pull"
    assert sum(path.startswith("/token") for path, _ in knobs["asked"]) == 1


def test_a_name_and_password_are_shown_to_the_token_server_only():
    with serving(wants_token=True) as (address, knobs):
        registry(address, {"username": "ann", "password": "x"}).manifest()

    shown = {path: headers.get("Authorization", "") for path, headers in knobs["asked"]}
    assert [path for path, value in shown.items() if value.startswith("Basic")] == [
        path for path in shown if path.startswith("/token")
    ]


def test_where_a_blob_lies_elsewhere_the_credentials_stay_here():
    with serving() as (elsewhere, stranger), serving(wants_token=True) as (address, knobs):
        knobs["redirects_to"] = f"http://{elsewhere}"

        assert fetched(registry(address)) == BLOB

    assert all("Authorization" not in headers for _, headers in stranger["asked"])


def test_a_broken_download_goes_on_where_it_stopped():
    with serving(breaks=True) as (address, knobs):
        assert fetched(registry(address)) == BLOB

    ranges = [headers.get("Range") for path, headers in knobs["asked"] if "/blobs/" in path]
    assert ranges == [None, f"bytes={len(BLOB) // 2}-"]


def test_false_bytes_are_refused():
    with (
        serving(blob=BLOB[:-1] + b"\0") as (address, _),
        pytest.raises(RegistryError, match="SHA-256"),
    ):
        fetched(registry(address))


def test_more_bytes_than_promised_are_refused():
    with (
        serving() as (address, _),
        pytest.raises(RegistryError, match="larger than the manifest says"),
    ):
        fetched(registry(address), size=10)


def test_a_manifest_that_is_asked_for_by_its_digest_must_have_it():
    with serving() as (address, _), pytest.raises(RegistryError, match="something else"):
        registry(address, tag="sha256:" + "0" * 64).manifest()


def test_an_answer_that_is_no_manifest_is_refused():
    with (
        serving(manifest=b"<html>a proxy's page</html>") as (address, _),
        pytest.raises(RegistryError, match="no JSON"),
    ):
        registry(address).manifest()
