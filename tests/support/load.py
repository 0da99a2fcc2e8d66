"""One function under load on a virtual clock, with a worker that obeys at once: what its autoscaler does, second by second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.dispatching import Script, only

from offload.control.core.events import Result, WorkerReported
from offload.control.core.inputs import InputState
from offload.control.core.instructions import StartContainer, StopContainer
from offload.control.core.model import ContainerState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.model import Function


class Load:
    """Keeps as many inputs open as each second says; each of `seen` is (started, stopped, containers) of one second."""

    def __init__(self, function: Function, cpus: float = 100) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self._script = Script()
        self._script.register(function)
        self._script.join(cpus=cpus)
        self._open: list[str] = []
        self._calls = 0

    def play(self, levels: Sequence[int]) -> list[tuple[int, int, int]]:
        """Let one second pass for each level."""
        for level in levels:
            self._second(level)
        return self.seen

    def _second(self, level: int) -> None:
        script = self._script
        script.log.clear()
        while len(self._open) < level:
            self._calls += 1
            self._open.append(f"fc-{self._calls}")
            script.submit(self._open[-1])
        while len(self._open) > level:
            self._finish(self._open.pop(0))
        script.start_all()
        script.wait(1.0)
        for view in script.core.containers():
            if view.state == "stopping":
                script.report(view.container_id, ContainerState.STOPPED)
        script.start_all()
        started = len(only(StartContainer, script.log))
        stopped = len(only(StopContainer, script.log))
        self.seen.append((started, stopped, len(script.core.containers())))

    def _finish(self, call_id: str) -> None:
        (view,) = self._script.core.inputs(call_id, 1)
        result = Result(view.input_id, view.attempts, InputState.SUCCEEDED)
        self._script.tell(WorkerReported("wk-1", results=(result,)))
