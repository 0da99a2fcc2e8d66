"""The runner: one process per container that becomes a function and runs its inputs."""

from __future__ import annotations

import faulthandler
import os
import sys
from _socket import socket

from offload.runner.cancellation import Interrupts
from offload.runner.outbox import Outbox
from offload.wire.guest import GUEST_PROTOCOL, Hello, Loaded

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NoReturn

    from offload.runner.execute import Executor
    from offload.runner.link import Link, Loading
    from offload.runner.stdio import StandardStreams
    from offload.wire.guest import Fault


def main(fd: int) -> NoReturn:
    """Serve the worker on the other end of the socket `fd` until it says stop or goes away."""
    connection = socket(fileno=fd)
    connection.setblocking(True)
    os.set_inheritable(fd, False)
    outbox = Outbox(connection)
    outbox.add(Hello(GUEST_PROTOCOL, os.getpid(), sys.version.split()[0]), 64)
    outbox.flush()
    # The rest is imported while the worker prepares the function.
    from offload.runner.execute import Executor  # noqa: PLC0415
    from offload.runner.exits import announce_exits, leave  # noqa: PLC0415
    from offload.runner.link import Link  # noqa: PLC0415
    from offload.runner.stdio import StandardStreams  # noqa: PLC0415

    faulthandler.enable(2)
    interrupts = Interrupts(outbox.wake_reader)
    streams = StandardStreams(outbox, interrupts)
    link = Link(connection, outbox, interrupts)
    executor = Executor(outbox, interrupts, streams)
    announce_exits(link, outbox, interrupts, streams)
    link.start()
    _serve(link, outbox, executor, streams)
    outbox.flush()
    leave(0)


def _serve(link: Link, outbox: Outbox, executor: Executor, streams: StandardStreams) -> None:
    """Do what the worker says until it says stop."""
    from offload.runner.cancellation import Job  # noqa: PLC0415 - beside its use
    from offload.runner.link import Loading  # noqa: PLC0415

    while True:
        work = link.next()
        if isinstance(work, Job):
            if link.begin(work):
                result = executor.run(work)
                link.finish(work)
                size = 128 if result.value is None else 128 + len(result.value.inline)
                outbox.add(result, size, wake=False)
        elif isinstance(work, Loading):
            link.occupy()
            outbox.add(Loaded(_load(work, outbox, executor, streams)), 64)
            outbox.flush()
        else:
            link.occupy()
            executor.close()
            return


def _load(
    loading: Loading, outbox: Outbox, executor: Executor, streams: StandardStreams
) -> Fault | None:
    """Become the function, or say why not."""
    from offload.runner.faults import describe  # noqa: PLC0415 - beside its use
    from offload.runner.load import load_function  # noqa: PLC0415 - beside its use

    order = loading.order
    streams.begin("")
    try:
        function = load_function(order, loading.code)
    except BaseException as error:  # noqa: BLE001 - also SystemExit in a module: it says why there is no function
        return describe(error, outbox)
    finally:
        streams.end()
    executor.become(function, order.function_name, is_generator=order.is_generator)
    return None
