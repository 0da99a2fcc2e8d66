"""A runner whose function is a web endpoint, and the server's side of its exchanges."""

from __future__ import annotations

import contextlib
from typing import Self

from tests.support.runner import RunnerEndError, RunnerProcess

from offload.sdk.web_marks import WEB_MARK, Endpoint
from offload.wire import guest
from offload.wire.guest import asks, web


def get(path: str = "/", query: bytes = b"", **changes: object) -> web.RequestHead:
    """A small request."""
    whole = web.RequestHead(
        method="GET",
        scheme="http",
        http_version="1.1",
        path=path,
        raw_path=path.encode(),
        query=query,
        root_path="",
        headers=((b"host", b"localhost"),),
        client=("127.0.0.1", 5000),
        server=("localhost", 80),
    )
    return whole._replace(**changes)  # type: ignore[arg-type]


def whole_response(runner: RunnerProcess, head: web.RequestHead) -> tuple[web.ResponseHead, bytes]:
    """Have a runner answer a request whose response must be the result of its input."""
    args = guest.Body(web.ENCODING, web.encode_request(head))
    runner.send(guest.Run((guest.Task("in-1", 1, args),)))
    result = runner.result()
    assert result.fault is None, result.fault
    assert result.value is not None
    assert result.value.encoding == web.ENCODING
    response = web.decode_response(result.value.inline)
    assert response is not None
    return response


class WebRunner(RunnerProcess):
    """Loads the function with this mark."""

    def __init__(
        self, function: object, endpoint: Endpoint | None = None, *, max_calls: int = 1
    ) -> None:
        super().__init__()
        if endpoint is not None:
            function.__module__ = "__main__"  # so that it travels by value, as a script's do
            function.__dict__[WEB_MARK] = endpoint
        self._function = function
        self._max_calls = max_calls

    def __enter__(self) -> Self:
        try:
            self.fault = self.load(self._function, calls=(self._max_calls, 0, 0.0))
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def ask(self, head: web.RequestHead, input_id: str = "in-1") -> None:
        """Have a request begin."""
        args = guest.Body(web.ENCODING, web.encode_request(head))
        self.send(guest.Run((guest.Task(input_id, 1, args),)))

    def whole(self, head: web.RequestHead) -> tuple[web.ResponseHead, bytes]:
        """The response of a request, which must be the result of its input."""
        return whole_response(self, head)

    def answer(self, head: web.RequestHead) -> tuple[web.ResponseHead, bytes]:
        """The response of a request, whichever way it comes: how much is gathered depends on how quick the app is."""
        self.ask(head)
        while True:
            message = self.receive()
            if isinstance(message, asks.Ask):
                begin, *parts = ServerSide(self, message).rest()
                self.result()
                assert isinstance(begin, web.ResponseHead)
                return begin, b"".join(part.data for part in parts if isinstance(part, web.Body))
            if isinstance(message, guest.Results):
                [result] = message.results
                assert result.fault is None, result.fault
                assert result.value is not None
                response = web.decode_response(result.value.inline)
                assert response is not None
                return response

    def call_method(self, name: str) -> guest.Result:
        """Call a method of a class that is no endpoint."""
        args = self.body(((), {}, name))
        self.send(guest.Run((guest.Task("in-1", 1, args),)))
        return self.result()

    def read_to_end(self) -> tuple[int, str]:
        """Keep every message until the runner closes its socket; return how it ended."""
        with contextlib.suppress(RunnerEndError):
            while True:
                self.receive()
        return self.wait_end()

    def exchange(self) -> ServerSide:
        """The next exchange that is opened."""
        return ServerSide(self, self.wait_for(asks.Ask))


class ServerSide:
    """One exchange as the server has it."""

    def __init__(self, runner: WebRunner, ask: asks.Ask) -> None:
        assert (ask.method, ask.is_open) == (web.EXCHANGE, True)
        self._runner = runner
        self.number = ask.number
        self.is_ended = False
        self.grant(4)
        opening = self.receive()
        assert isinstance(opening, web.Open)
        self.input_id = opening.input_id

    def grant(self, parts: int) -> None:
        self._runner.send(asks.Credit(self.number, parts))

    def send(self, *parts: web.Part) -> None:
        self._runner.send(
            *(asks.Answer(self.number, 0, False, web.encode_part(part)) for part in parts)
        )

    def end(self) -> None:
        self._runner.send(asks.Answer(self.number, 0, True, b""))

    def receive(self) -> web.Part | None:
        """The next part; None where the container has said everything."""
        more = self._runner.wait_for(asks.AskMore)
        assert more.number == self.number
        if more.last:
            self.is_ended = True
            return None
        self.grant(1)
        return web.decode_part(more.data, web.FROM_CONTAINER)

    def rest(self) -> list[web.Part]:
        """Every part up to the container's end, which is answered with ours."""
        parts = []
        while (part := self.receive()) is not None:
            parts.append(part)
        self.end()
        return parts
