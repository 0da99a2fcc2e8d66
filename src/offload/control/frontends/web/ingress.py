"""What the requests of all connections share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.control.core.dispatch import Dispatcher
    from offload.control.frontends.web.admission import Admission
    from offload.control.frontends.web.routes import Routes
    from offload.control.services.calls import Calls
    from offload.control.services.classes import Classes
    from offload.control.services.exchanges import Exchanges
    from offload.wire.link import HttpAnswer

# How long a request is held at least until a container takes it; longer where the function's containers may start longer.
HOLD_SECONDS = 60.0
MAX_WAITING = 1_000  # requests of one endpoint that wait for a container, where it says nothing
# The client of a WebSocket that has said nothing for so long is asked whether it is there.
PING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ingress:
    """The services behind the ingress."""

    routes: Routes
    admission: Admission
    calls: Calls
    classes: Classes
    exchanges: Exchanges
    dispatcher: Dispatcher
    answer: Callable[[str], HttpAnswer | None]  # the server's own pages, by path
    max_waiting: int = MAX_WAITING
    hold_seconds: float = HOLD_SECONDS
    ping_seconds: float = PING_SECONDS

    def waiting(self, function_id: str) -> int:
        """Count the function's inputs that wait for a container."""
        return self.dispatcher.waiting(function_id)

    def is_begun(self, input_id: str) -> bool:
        """Whether a container has the input."""
        return bool(self.dispatcher.container_of(input_id))

    def why_waits(self, call_id: str) -> str:
        """Return what a call waits for."""
        return self.dispatcher.why_call_waits(call_id)
