"""The ingress in front of a whole stack: large bodies in bounded memory, WebSockets, and versions that change under load."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

import offload
from offload import testing

MIB = 1024 * 1024
BODY_MIB = 64
MAY_GROW_MIB = 24


def application():
    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"][::-1]})
            return
        if scope["type"] != "http":
            return
        count = 0
        while True:
            message = await receive()
            count += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(int(scope["query_string"] or b"0")):
            piece = {"type": "http.response.body", "body": bytes(MIB), "more_body": True}
            await send(piece)
        await send({"type": "http.response.body", "body": b"%d" % count})

    return app


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack")
    with testing.local_stack(folder) as url:
        yield url, folder


@pytest.fixture(scope="module")
def endpoint(stack):
    url, _ = stack
    app = offload.App("ingress")

    @app.function()
    @offload.concurrent(max_inputs=8)
    @offload.asgi_app()
    def api():
        return application()

    app.deploy()
    return f"{url}/web/ingress/api"


def _processes(folder: Path) -> dict[str, Path]:
    """Return the folders in /proc of the stack's server and worker."""
    found = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                words = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            for role in (b"server", b"worker"):
                if (
                    b"offload" in words
                    and role in words
                    and str(folder).encode() in b" ".join(words)
                ):
                    found[role.decode()] = each
    return found


def _peak_mib(process: Path, name: str = "VmHWM") -> float:
    for line in (process / "status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise LookupError(f"{process} has no {name}")


def _watch(processes: dict[str, Path]) -> dict[str, float]:
    """Forget the peaks so far; return what each process has now."""
    for process in processes.values():
        (process / "clear_refs").write_text("5")
    return {name: _peak_mib(process, "VmRSS") for name, process in processes.items()}


def test_bodies_of_any_size_pass_in_bounded_memory_however_slowly_they_are_read(stack, endpoint):
    _, folder = stack
    processes = _processes(folder)
    assert processes.keys() == {"server", "worker"}
    httpx.get(endpoint, timeout=60)
    before = _watch(processes)

    def body():
        for _ in range(BODY_MIB):
            yield bytes(MIB)

    uploaded = httpx.post(endpoint, content=body(), timeout=60)
    downloaded = 0
    with httpx.stream("GET", f"{endpoint}?{BODY_MIB}", timeout=60) as answer:
        for piece in answer.iter_raw(4096):
            downloaded += len(piece)

    assert uploaded.text == str(BODY_MIB * MIB)
    assert downloaded == BODY_MIB * MIB + 1
    grown = {name: _peak_mib(process) - before[name] for name, process in processes.items()}
    assert max(grown.values()) < MAY_GROW_MIB, grown


def test_a_reader_that_stops_holds_the_container_back(stack, endpoint):
    _, folder = stack
    processes = _processes(folder)
    httpx.get(endpoint, timeout=60)
    before = _watch(processes)
    url = httpx.URL(endpoint)

    with socket.create_connection((url.host, url.port)) as client:
        client.sendall(b"GET %b?512 HTTP/1.1\r\nHost: x\r\n\r\n" % url.raw_path)
        client.recv(1)
        # Others are answered meanwhile, and often enough for what is held back to have come if it were not.
        answers = [httpx.get(f"{endpoint}?1", timeout=60).status_code for _ in range(20)]

    assert answers == [200] * 20
    grown = {name: _peak_mib(process) - before[name] for name, process in processes.items()}
    assert max(grown.values()) < MAY_GROW_MIB, grown


def test_a_websocket_reaches_the_container(endpoint):
    with connect(endpoint.replace("http", "ws", 1)) as chat:
        chat.send("abc")

        assert chat.recv(timeout=60) == "cba"


def test_no_request_is_dropped_while_a_version_takes_over(stack):
    url, _ = stack
    statuses = []
    done = threading.Event()

    def deploy(number: int) -> None:
        app = offload.App("rolling")

        @app.function(env={"NUMBER": str(number)})
        @offload.concurrent(max_inputs=8)
        @offload.asgi_app()
        def api():
            return application()

        app.deploy()

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not done.is_set():
                statuses.append(client.get(f"{url}/web/rolling/api").status_code)

    deploy(1)
    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        deploy(2)
        deploy(3)
    finally:
        done.set()
        for thread in asking:
            thread.join()

    assert statuses
    assert set(statuses) == {200}


def test_a_key_made_on_the_command_line_opens_an_endpoint(stack, tmp_path):
    url, folder = stack
    app = offload.App("locked")

    @app.function()
    @offload.asgi_app(auth="key")
    def api():
        return application()

    app.deploy()

    def command(*words: str) -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, "-m", "offload", "web-key", *words, "--json"],
            env={"OFFLOAD_DATA_DIR": str(folder), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            check=True,
            capture_output=True,
            text=True,
        )
        return dict(json.loads(done.stdout))

    made = command("create", "the shop")
    pair = {"Offload-Key": str(made["key"]), "Offload-Secret": str(made["secret"])}
    listed = command("ls")
    opened = [
        httpx.get(f"{url}/web/locked/api", headers=h, timeout=60).status_code for h in ({}, pair)
    ]
    command("rm", str(made["key"]))
    after = httpx.get(f"{url}/web/locked/api", headers=pair, timeout=60).status_code

    assert (opened, after) == ([401, 200], 401)
    assert str(made["key"]) in str(listed)
    assert str(made["secret"]) not in str(listed)
