"""Deployed endpoints as the world sees them: a browser, and a program that tries what an API's description allows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.acceptance import User

SITE = '''
import offload

app = offload.App("site")

PAGE = """<!doctype html><title>site</title><p id="said">nothing</p><script>
const said = document.getElementById("said");
const socket = new WebSocket(location.href.replace("http", "ws") + "/socket");
socket.onmessage = async event => {
    const response = await fetch(location.href + "/data", {method: "POST", body: event.data});
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let piece; !(piece = await reader.read()).done;) text += piece.value;
    said.textContent = text;
};
socket.onopen = () => socket.send("hello");
</script>"""


@app.function(memory=256)
@offload.concurrent(max_inputs=20)
@offload.asgi_app()
def page():
    from fastapi import FastAPI, Request, WebSocket
    from fastapi.responses import HTMLResponse, StreamingResponse

    api = FastAPI()

    @api.get("/", response_class=HTMLResponse)
    async def index():
        return PAGE

    @api.websocket("/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("over the socket: " + await websocket.receive_text())

    @api.post("/data")
    async def data(request: Request):
        body = await request.body()

        async def pieces():
            yield b"streamed "
            yield body

        return StreamingResponse(pieces())

    return api


@app.function(memory=256)
@offload.concurrent(max_inputs=20)
@offload.fastapi_endpoint(docs=True)
def order(item: str, count: int = 1, ready: bool | None = None) -> dict[str, object]:
    return {"item": item, "count": count, "ready": ready}
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The addresses of both endpoints."""
    user = User(tmp_path_factory.mktemp("site"))
    deployed = user.run("deploy", user.write("site.py", SITE), seconds=120)
    assert deployed.returncode == 0, deployed.stderr
    yield [line.strip() for line in deployed.stdout.splitlines() if "http://" in line]
    user.end()


def test_a_browser_shows_a_page_that_speaks_with_its_endpoint(site):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium: apt install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=120_000
        )
        page = browser.new_page()
        page.goto(site[0], timeout=120_000)
        page.wait_for_function("said.textContent != 'nothing'", timeout=60_000)
        said = page.text_content("#said")
        browser.close()

    assert said == "streamed over the socket: hello"


def test_an_api_keeps_to_its_description_whatever_it_is_sent(site):
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{site[1]}/openapi.json",
        "--max-examples", "10", "--seed", "1", "--generation-deterministic", "--no-color",
        "--request-timeout", "60", "--suppress-health-check", "all",
    ]  # fmt: skip

    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)

    assert done.returncode == 0, done.stdout[-4000:]
