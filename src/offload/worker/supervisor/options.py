"""What the supervisor makes containers with, and whom it tells what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

from offload.worker.core.output import USUAL_OUTPUT, OutputLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from offload.wire import guest
    from offload.worker.core.attribution import Ending
    from offload.worker.core.values import Content, Gpu, Line, Report
    from offload.worker.ports import ImageBuilder, Platform, Runtime, SecretSource
    from offload.worker.supervisor.life import Life
    from offload.worker.supervisor.templates import Templates
    from offload.worker.volumes import Volumes


class Listener(Protocol):
    """Whom the supervisor tells what happens."""

    def on_report(self, report: Report) -> None:
        """Take note of where a container is in its life."""

    def on_ready(self, life: Life) -> None:
        """Give the container work."""

    def on_message(self, container_id: str, message: guest.Message) -> None:
        """Take what a ready container said. May raise `guest.GuestProtocolError`."""

    def on_gone(self, container_id: str, ending: Ending, *, is_innocent: bool) -> None:
        """Settle what was in the hand of a container that was ready."""

    def on_line(self, line: Line) -> None:
        """Take a line of output."""

    def current_input(self, container_id: str) -> str:
        """Return the input that a container runs; empty when none."""


@dataclass(frozen=True, slots=True)
class SupervisorOptions:
    """What containers are made with."""

    runtimes: Mapping[str, Runtime]  # default first
    host_id: str
    open_blob: Callable[[Content], Awaitable[IO[bytes]]]  # raises OSError with a reason
    listener: Listener
    gpus: tuple[Gpu, ...] = ()  # what the worker has
    images: Mapping[str, ImageBuilder] = field(default_factory=dict)  # see `RuntimeCapabilities`
    templates: Templates | None = None
    volumes: Volumes | None = None  # None: functions with volumes cannot start
    output: OutputLimits = USUAL_OUTPUT
    platform: Platform | None = None  # None: user code may ask nothing
    secrets: SecretSource | None = None  # None: there are none
