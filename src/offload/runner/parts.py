"""The parts of a runner that can wait until it has said hello, put together."""

from __future__ import annotations

import faulthandler

from offload import wire
from offload.runner.callee import Callees
from offload.runner.cancellation import Interrupts, Job
from offload.runner.execute import Executor
from offload.runner.exits import announce_exits, leave
from offload.runner.link import Link, Loading
from offload.runner.stdio import StandardStreams
from offload.wire import guest

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from _socket import socket
    from typing import Callable, NoReturn, TypeVar

    from offload.runner.crowd import Crowd
    from offload.runner.life import Life, Site
    from offload.runner.load import Loaded
    from offload.runner.outbox import Outbox

    T = TypeVar("T")


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
        self._life: Life | Site | None = None  # where there is more than a function
        wire.find_input = lambda: self._streams.current_input
        announce_exits(self.link, outbox, interrupts, self._streams)

    def serve(self, loaded: Loaded | None = None, loading: Loading | None = None) -> NoReturn:
        """Do what the worker says until it says stop, then end; begin with what is `loaded` already."""
        self.link.start()
        if loaded is not None and loading is not None:
            self._begin(loaded, loading)
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
                    self._begin(function, work)
                else:
                    self._tell_loaded(fault)
            else:
                self.link.occupy()
                if self._crowd is not None:
                    self._crowd.close()
                if self._life is not None:
                    self._streams.begin("")
                    self._life.leave(self._wait_for)
                    self._streams.end()
                self._executor.close()
                self.outbox.flush()
                leave(0)

    def load(
        self, loading: Loading, *, in_template: bool = False
    ) -> tuple[Loaded | None, guest.Fault | None]:
        """Return what inputs call, or why there is nothing. An instance is not made yet in a template, unless it is to be."""
        from offload.runner.load import load_function  # noqa: PLC0415 - beside its use

        def load() -> Loaded:
            loaded = load_function(loading.order, loading.code)
            if not isinstance(loaded, Callees) and (loaded.starts_in_template or not in_template):
                loaded.prepare()
            return loaded

        return self._of_user_code(load)

    def _begin(self, loaded: Loaded, loading: Loading) -> None:
        """Run inputs with this from here on; say so, or why not."""
        if isinstance(loaded, Callees):
            self._become(loaded, loading.order)
            self._tell_loaded(None)
            return
        life = self._life = loaded
        self.link.occupy()
        self.outbox.flush()  # its hooks may take long, and the worker is to know that it is alive

        def enter() -> None:
            life.prepare()
            self._become(life.callees(), loading.order)
            life.enter(self._wait_for)

        self._tell_loaded(self._of_user_code(enter)[1])

    def _become(self, callees: Callees, order: guest.Load) -> None:
        if order.max_calls > 1 or order.batch_size or callees.wants_loop:
            from offload.runner.crowds import make_crowd  # noqa: PLC0415 - most run one input at a time

            self._crowd = make_crowd(self.link, self.outbox, self._streams, callees, order)
            return
        self._executor.become(callees)

    def _wait_for(self, awaitable: object) -> object:
        return (self._crowd or self._executor).wait_for(awaitable)

    def _of_user_code(self, run: Callable[[], T]) -> tuple[T | None, guest.Fault | None]:
        from offload.runner.faults import describe  # noqa: PLC0415 - beside its use

        self._streams.begin("")
        try:
            return run(), None
        except BaseException as error:  # noqa: BLE001 - also SystemExit in a module: it says why there is no function
            return None, describe(error, self.outbox)
        finally:
            self._streams.end()

    def _tell_loaded(self, fault: guest.Fault | None) -> None:
        self.outbox.add(guest.Loaded(fault), 64)
        self.outbox.flush()

    def adopt(self, connection: socket) -> None:
        """Go on, after a fork, as a container of its own with a connection of its own."""
        faulthandler.enable(2)
        self.outbox.adopt(connection)
        self.link.adopt(connection)
