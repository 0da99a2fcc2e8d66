"""Containers forked from a template, behind the same port as plainly started ones, so that one suite holds both to it."""

from __future__ import annotations

import asyncio
import pickle
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.wire import guest
from offload.wire.images import OWN_PATH
from offload.worker.ports import (
    ContainerSpec,
    ContainerStartError,
    Exit,
    RuntimeUnavailableError,
)
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.bubblewrap_template import BubblewrapTemplate
from offload.worker.runtimes.readiness import readable
from offload.worker.runtimes.undo import finish_or_undo

if TYPE_CHECKING:
    import socket

    from offload.worker.ports import Container
    from offload.worker.runtimes.options import RuntimeOptions

# What a user's function may do as well: it takes the runner's place, and answers expressions.
_GUEST = """
import json
from offload.runner.outbox import exit_now
from offload.runner.parts import Parts

def serve(parts, *loaded):
    import os, socket
    for fd in parts.outbox.own_fds:
        os.close(fd)
    sock = socket.socket(fileno=parts.link._connection.detach())
    lines = sock.makefile("rw")
    for line in lines:
        try:
            answer = eval(json.loads(line), {"__import__": __import__})
        except SystemExit as error:
            exit_now(int(str(error.code)))
        except BaseException as error:
            answer = type(error).__name__ + ": " + str(error)
        lines.write(json.dumps(answer) + "\\n")
        lines.flush()
    exit_now(0)

Parts.serve = serve
"""


class Running:
    """An object whose unpickling runs source text, and which comes out as a function."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __reduce__(self) -> tuple[object, ...]:
        return eval, ("[exec(source, {}), len][1]", {"source": self._source})


def load_message(function: object) -> bytes:
    """Return the frame that tells a runner to become the function."""
    code = guest.Body("cloudpickle", pickle.dumps(function))
    return guest.encode(guest.Load("f", False, code, (*sys.path, OWN_PATH), (), "/"))


async def next_of(container: Container, kind: type[guest.Message]) -> guest.Message:
    """Return the next frame of this kind; raises EOFError where the container ends first."""
    decoder = guest.Decoder()
    while True:
        await readable(container.socket.fileno())
        data = container.socket.recv(65536)
        if not data:
            raise EOFError
        for message in decoder.feed(data):
            if isinstance(message, kind):
                return message


async def start_loaded(
    runtime: BubblewrapRuntime, spec: ContainerSpec, function: object
) -> BubblewrapTemplate:
    """Start a template of the function. Raises `ContainerStartError` where it does not load."""
    template = await runtime.start_template(replace(spec, container_id=f"t-{spec.container_id}"))
    try:
        template.socket.send(load_message(function))
        loaded = await next_of(template, guest.Loaded)
        if isinstance(loaded, guest.Loaded) and loaded.fault is not None:
            raise ContainerStartError(f"{loaded.fault.type_name}: {loaded.fault.message}")
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        ended = await template.wait()
        await template.close()
        raise ContainerStartError(ended.detail) from error
    except BaseException:
        await template.close()
        raise
    return template


class _Forked:
    """A container that takes its template along when it is closed."""

    def __init__(self, template: BubblewrapTemplate, container: Container) -> None:
        self._template = template
        self._container = container
        self.container_id = container.container_id
        self.socket = container.socket
        self.stdout_fd = container.stdout_fd
        self.stderr_fd = container.stderr_fd

    async def wait(self) -> Exit:
        return await self._container.wait()

    async def open_console(self) -> socket.socket:
        return await self._container.open_console()

    def kill(self) -> None:
        self._container.kill()

    async def close(self) -> None:
        await self._container.close()
        await self._template.close()


def make_forked(options: RuntimeOptions) -> ForkedRuntime:
    """Return such a runtime. Raises `RuntimeUnavailableError` where templates are not to be had."""
    runtime = BubblewrapRuntime(options)
    if not runtime.capabilities.forks_templates:
        asyncio.run(runtime.close())
        raise RuntimeUnavailableError("bubblewrap forks no templates here")
    return ForkedRuntime(runtime)


class ForkedRuntime:
    """See `Runtime`: each container is forked from a template of its own."""

    def __init__(self, runtime: BubblewrapRuntime) -> None:
        self.capabilities = runtime.capabilities
        self._runtime = runtime

    async def start(self, spec: ContainerSpec) -> _Forked:
        return await finish_or_undo(self._start(spec), "forked")

    async def start_template(self, spec: ContainerSpec) -> BubblewrapTemplate:
        return await self._runtime.start_template(spec)

    async def close(self) -> None:
        await self._runtime.close()

    async def _start(self, spec: ContainerSpec) -> _Forked:
        template = await start_loaded(self._runtime, spec, Running(_GUEST))
        try:
            return _Forked(template, await template.fork(spec))
        except BaseException:
            await template.close()
            raise


class Evaluating(Running):
    """A function that evaluates the expression it is given, in a process where `source` was run at import."""

    def __reduce__(self) -> tuple[object, ...]:
        return eval, (
            "[exec(source, space), space['answer']][1]",
            {"source": self._source, "space": {}},
        )


def function(source: str = "") -> Evaluating:
    """Return a function of one expression; the source stands for what its module does when it is imported."""
    return Evaluating(f"{source}\ndef answer(text): return eval(text, globals())")


async def call(container: Container, expression: str) -> object:
    """Run one input in a container and return its result."""
    body = guest.Body("pickle", pickle.dumps(((expression,), {})))
    container.socket.send(guest.encode(guest.Run((guest.Task("in-1", 1, body),))))
    results = await next_of(container, guest.Results)
    assert isinstance(results, guest.Results)
    value = results.results[0].value
    assert value is not None, results.results[0].fault
    return pickle.loads(value.inline)  # noqa: S301 - the test's own
