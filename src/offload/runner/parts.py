"""The parts of a runner that can wait until it has said hello, put together."""

from __future__ import annotations

import faulthandler

from offload import wire
from offload.runner.cancellation import Interrupts, Job
from offload.runner.execute import Executor
from offload.runner.exits import announce_exits, leave
from offload.runner.link import Link, Loading
from offload.runner.stdio import StandardStreams
from offload.wire.guest import Loaded

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from _socket import socket
    from typing import NoReturn

    from offload.runner.crowd import Crowd
    from offload.runner.load import UserFunction
    from offload.runner.outbox import Outbox
    from offload.wire.guest import Fault


class Parts:
    """A runner, ready to become a function."""

    def __init__(self, connection: socket, outbox: Outbox) -> None:
        faulthandler.enable(2)
        self.outbox = outbox
        interrupts = Interrupts(outbox.wake_reader)
        self._streams = StandardStreams(outbox, interrupts)
        self.link = Link(connection, outbox, interrupts)
        self._executor = Executor(outbox, interrupts, self._streams)
        self._crowd: Crowd | None = None  # where several inputs run at the same time
        wire.find_input = lambda: self._streams.current_input
        announce_exits(self.link, outbox, interrupts, self._streams)

    def serve(self) -> NoReturn:
        """Do what the worker says until it says stop, then end."""
        self.link.start()
        while True:
            work = self.link.next()
            if isinstance(work, Job):
                if self._crowd is not None:
                    self._crowd.take(work)
                elif self.link.begin(work):
                    result = self._executor.run(work)
                    self.link.finish(work)
                    size = 128 if result.value is None else 128 + len(result.value.inline)
                    self.outbox.add(result, size, wake=False)
            elif isinstance(work, Loading):
                self.link.occupy()
                function, fault = self.load(work)
                if function is not None:
                    self.become(function, work)
                self.outbox.add(Loaded(fault), 64)
                self.outbox.flush()
            else:
                self.link.occupy()
                if self._crowd is not None:
                    self._crowd.close()
                self._executor.close()
                self.outbox.flush()
                leave(0)

    def load(self, loading: Loading) -> tuple[UserFunction | None, Fault | None]:
        """Return the function, or why there is none."""
        from offload.runner.faults import describe  # noqa: PLC0415 - beside its use
        from offload.runner.load import load_function  # noqa: PLC0415 - beside its use

        self._streams.begin("")
        try:
            return load_function(loading.order, loading.code), None
        except BaseException as error:  # noqa: BLE001 - also SystemExit in a module: it says why there is no function
            return None, describe(error, self.outbox)
        finally:
            self._streams.end()

    def become(self, function: UserFunction, loading: Loading) -> None:
        """Run inputs with this function from here on."""
        order = loading.order
        if order.max_calls > 1 or order.batch_size:
            from offload.runner.crowds import make_crowd  # noqa: PLC0415 - most run one input at a time

            self._crowd = make_crowd(self.link, self.outbox, self._streams, function, order)
            return
        self._executor.become(function, order.function_name, is_generator=order.is_generator)

    def adopt(self, connection: socket) -> None:
        """Go on, after a fork, as a container of its own with a connection of its own."""
        faulthandler.enable(2)
        self.outbox.adopt(connection)
        self.link.adopt(connection)
