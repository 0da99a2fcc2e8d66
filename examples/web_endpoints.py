"""Functions that answer web requests, in four ways: `offload run examples/web_endpoints.py`.

`offload serve examples/web_endpoints.py` keeps them there, to be asked with curl or a browser.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import offload

app = offload.App("web-endpoints")


@dataclass
class Order:
    """What a body has to say."""

    item: str
    count: int = 1


@app.function()
@app.web_endpoint(path="/users/{user_id}")
def user(user_id: int, greeting: str = "hello") -> dict[str, object]:
    """Answer with JSON; the path and the query are arguments."""
    return {"user": user_id, "greeting": greeting}


@app.function()
@app.web_endpoint(path="/orders", method="POST")
def order(order: Order) -> tuple[dict[str, object], int]:
    """Take a JSON body, and answer with a status."""
    return {"ordered": order.item, "count": order.count}, 201


@app.function()
@app.web_endpoint(path="/ticks")
def ticks(request: offload.WebRequest) -> offload.WebResponse:
    """Send server-sent events as they come."""

    def events() -> Iterator[str]:
        for number in range(int(request.query_params.get("count", "3"))):
            yield f"data: tick {number}\n\n"

    return offload.WebResponse(events(), content_type="text/event-stream")


@app.function()
@offload.wsgi_app()
def classic() -> Callable[[dict[str, str], Callable[..., object]], Iterable[bytes]]:
    """Return a WSGI app, as Flask and Django make them."""

    def application(
        environ: dict[str, str], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        body = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}\n".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    return application


@app.cls()
@offload.concurrent(max_inputs=100)
class Counter:
    """An instance in a container, with an endpoint beside a method."""

    step: int = offload.parameter(default=1)

    @offload.enter()
    def begin(self) -> None:
        """Start with nothing."""
        self.count = 0

    @app.web_endpoint(path="/", method="POST")
    async def add(self) -> int:
        """Count one request more."""
        self.count += self.step
        return self.count


def ask(url: str, body: object = None, *, method: str = "GET") -> str:
    """Return what a URL answers."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310 - as above
            return f"{response.status} {response.read().decode().strip()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.read().decode()}"


@app.local_entrypoint()
def main() -> None:
    """Ask each of them."""
    print(ask(user.get_web_url() + "/users/7?greeting=hi"))
    print(ask(user.get_web_url() + "/users/me"))
    print(ask(order.get_web_url() + "/orders", {"item": "tea", "count": 2}, method="POST"))
    print(ask(order.get_web_url() + "/orders", {"count": "many"}, method="POST"))
    print(ask(ticks.get_web_url() + "/ticks?count=2"))
    print(ask(classic.get_web_url() + "/old/pages"))
    url = Counter().add.get_web_url()
    print(ask(url, method="POST"), "then", ask(url, method="POST"))
    print(ask(url + "?step=10", method="POST"))
    print(user.local(8))
