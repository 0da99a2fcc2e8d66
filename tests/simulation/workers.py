"""A scripted worker on a virtual clock: starts containers, runs inputs for random times, and fails in many ways.

It keeps books of its own of what its containers take, and fails the simulation where it is told to start too many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from offload.control.core.events import (
    HeldInput,
    Result,
    Returned,
    Started,
    Window,
    WorkerJoined,
    WorkerReported,
)
from offload.control.core.inputs import InputState
from offload.control.core.instructions import (
    Assign,
    CancelInputs,
    Instruction,
    StartContainer,
    StopContainer,
    Task,
)
from offload.control.core.model import (
    ContainerReport,
    ContainerState,
    FailureKind,
    WorkerInfo,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from offload.control.core.model import Function

UNACKNOWLEDGED = 50


class World(Protocol):
    """What a worker needs of the simulation."""

    rng: random.Random
    is_calm: bool

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it later."""

    def tell_server(self, worker: SimulatedWorker, report: WorkerReported) -> None:
        """Send a report over the worker's session, if it has one."""

    def function(self, function_id: str) -> Function:
        """Return what the worker knows of a function."""

    def fail(self, what: str) -> None:
        """Say that a promise was broken."""

    def note_run(self, function_id: str) -> None:
        """Take note that an input of the function began."""


@dataclass
class Box:
    """A container."""

    function_id: str
    state: ContainerState
    gpus: tuple[int, ...]
    busy: dict[str, None] = field(default_factory=dict)  # the inputs it runs
    was_used: bool = False
    lent: bool = False  # its cores, at least once


@dataclass
class Hand:
    """An input in the worker's hands."""

    attempt: int
    function_id: str
    alone: bool
    container_id: str = ""


class SimulatedWorker:
    """Keeps its containers and inputs over a broken session, and its results until they are recorded.

    `breaks` is how likely a container cannot start on it.
    """

    def __init__(self, world: World, info: WorkerInfo, breaks: float) -> None:
        self.info = info
        self.session = 0
        self.is_dead = False
        self.boxes: dict[str, Box] = {}
        self.hands: dict[str, Hand] = {}
        self._world = world
        self._breaks = breaks
        self._unacknowledged: dict[tuple[str, int], tuple[str, Result]] = {}
        self._depth = world.rng.randint(1, 4)

    def joined(self, remembers: bool) -> tuple[WorkerJoined, WorkerReported]:
        """Return its hello, and what it sends right after: all windows, and results that may have been lost."""
        if not remembers:
            self.hands.clear()
            self._unacknowledged.clear()
            for container_id, box in self.boxes.items():
                box.busy.clear()
                is_spent = box.was_used and self._is_single_use(box)
                if is_spent or box.state is ContainerState.STOPPING:
                    self._stop(container_id)  # none of its inputs will end it any more
        held = [HeldInput(i, hand.attempt, hand.function_id) for i, hand in self.hands.items()]
        held += [
            HeldInput(input_id, attempt, function_id)
            for (input_id, attempt), (function_id, _) in self._unacknowledged.items()
            if input_id not in self.hands
        ]
        containers = [
            ContainerReport(i, box.function_id, box.state, gpu_indices=box.gpus)
            for i, box in self.boxes.items()
        ]
        functions = dict.fromkeys(box.function_id for box in self.boxes.values())
        report = WorkerReported(
            self.info.worker_id,
            windows=tuple(self._window(function_id) for function_id in functions),
            results=tuple(result for _, result in self._unacknowledged.values()),
        )
        return WorkerJoined(self.info, tuple(held), tuple(containers)), report

    def obey(self, instruction: Instruction) -> None:
        """Do what the server wants; doing it twice is harmless."""
        match instruction:
            case StartContainer():
                self._start(instruction)
            case StopContainer():
                self._stop(instruction.container_id)
            case Assign():
                for task in instruction.tasks:
                    self._take(task, instruction.function_id)
                self._feed(instruction.function_id)
            case CancelInputs():
                for input_id in instruction.input_ids:
                    self._drop(input_id)
            case _:
                pass

    def acknowledge(self, input_id: str, attempt: int) -> None:
        """Forget a result: it is recorded."""
        self._unacknowledged.pop((input_id, attempt), None)

    def _take(self, task: Task, function_id: str) -> None:
        held = self.hands.get(task.input_id)
        if held is None:
            self.hands[task.input_id] = Hand(task.attempt, function_id, task.alone)
        elif held.attempt != task.attempt:
            self._world.fail(f"{task.input_id} was handed out twice to {self.info.worker_id}")

    def _start(self, order: StartContainer) -> None:
        if order.container_id in self.boxes:
            return
        box = Box(order.function_id, ContainerState.STARTING, order.gpu_indices)
        self.boxes[order.container_id] = box
        self._check_room(order)
        # Some never get ready.
        seconds = self._world.rng.uniform(0.01, 2.0)
        if not self._world.is_calm and self._world.rng.random() < 0.03:
            seconds = 100.0
        self._world.after(seconds, lambda: self._finish_start(order.container_id))

    def _check_room(self, order: StartContainer) -> None:
        needs = [self._world.function(box.function_id).needs for box in self.boxes.values()]
        taking = [one for one, box in zip(needs, self.boxes.values(), strict=True) if not box.lent]
        capacity = self.info.capacity
        gpus = [index for box in self.boxes.values() for index in box.gpus]
        kinds = {gpu.index: gpu.kind for gpu in capacity.gpus}
        mine = self._world.function(order.function_id).needs
        is_right = len(order.gpu_indices) == mine.gpus and all(
            mine.gpu_kind in kinds.get(index, "none") for index in order.gpu_indices
        )
        if (
            sum(one.cpu_milli for one in taking) > capacity.cpu_milli
            or sum(one.memory_mib for one in needs) > capacity.memory_mib
            or len(gpus) != len(set(gpus))
            or not is_right
            or any(self.info.labels.get(key) != value for key, value in mine.labels)
        ):
            self._world.fail(f"{self.info.worker_id} has no room for {order}: {self.boxes}")

    def _finish_start(self, container_id: str) -> None:
        box = self.boxes.get(container_id)
        if box is None or self.is_dead or box.state is ContainerState.STOPPING:
            return
        world = self._world
        is_function_bad = "bad" in self._world.function(box.function_id).name
        breaks = 0.0 if world.is_calm else self._breaks + 0.6 * is_function_bad
        if world.rng.random() < breaks:
            self._end_box(container_id, ContainerState.FAILED, blames_function=is_function_bad)
            return
        box.state = ContainerState.READY
        ready = ContainerReport(
            container_id, box.function_id, ContainerState.READY, gpu_indices=box.gpus
        )
        self._send(box.function_id, containers=(ready,))
        self._feed(box.function_id)

    def _stop(self, container_id: str) -> None:
        box = self.boxes.get(container_id)
        if box is None:
            return
        box.state = ContainerState.STOPPING
        if not box.busy:
            seconds = self._world.rng.choice((0.0, 0.0, 1.0))
            self._world.after(seconds, lambda: self._end_stopped(container_id))

    def _end_stopped(self, container_id: str) -> None:
        box = self.boxes.get(container_id)
        if box is not None and not box.busy and not self.is_dead:
            self._end_box(container_id, ContainerState.STOPPED)

    def _end_box(
        self,
        container_id: str,
        state: ContainerState,
        returned: tuple[Returned, ...] = (),
        *,
        blames_function: bool = False,
    ) -> None:
        box = self.boxes.pop(container_id)
        function_id = box.function_id
        if not self._ready(function_id):
            waiting = [
                i
                for i, h in self.hands.items()
                if h.function_id == function_id and not h.container_id
            ]
            returned += tuple(
                Returned(i, self.hands.pop(i).attempt, "no container is left") for i in waiting
            )
        report = ContainerReport(
            container_id, function_id, state, reason="scripted", blames_function=blames_function
        )
        self._send(function_id, containers=(report,), returned=returned)

    def _ready(self, function_id: str) -> list[str]:
        return [
            i
            for i, box in self.boxes.items()
            if box.function_id == function_id and box.state is ContainerState.READY
        ]

    def _window(self, function_id: str) -> Window:
        each = self._depth - 1 + self._world.function(function_id).max_inputs
        return Window(function_id, each * len(self._ready(function_id)))

    def _send(
        self,
        function_id: str,
        containers: tuple[ContainerReport, ...] = (),
        started: tuple[Started, ...] = (),
        results: tuple[Result, ...] = (),
        returned: tuple[Returned, ...] = (),
    ) -> None:
        for result in results:
            self._unacknowledged[result.input_id, result.attempt] = function_id, result
        while len(self._unacknowledged) > UNACKNOWLEDGED:
            del self._unacknowledged[next(iter(self._unacknowledged))]
        report = WorkerReported(
            self.info.worker_id,
            (self._window(function_id),),
            containers,
            started,
            results,
            returned,
        )
        self._world.tell_server(self, report)

    def _feed(self, function_id: str) -> None:
        for container_id in self._ready(function_id):
            while self._takes_one(self.boxes[container_id]):
                waiting = (
                    i
                    for i, h in self.hands.items()
                    if h.function_id == function_id and not h.container_id
                )
                input_id = next(waiting, None)
                if input_id is None:
                    return
                if self.hands[input_id].alone and self.boxes[container_id].busy:
                    break
                self._run(input_id, container_id)

    def _is_single_use(self, box: Box) -> bool:
        return self._world.function(box.function_id).name == "once"

    def _takes_one(self, box: Box) -> bool:
        is_lonely = any(self.hands[i].alone for i in box.busy if i in self.hands)
        max_inputs = self._world.function(box.function_id).max_inputs
        if len(box.busy) > max_inputs or (is_lonely and len(box.busy) > 1):
            self._world.fail(f"a container of {box.function_id} runs {list(box.busy)}")
        return len(box.busy) < max_inputs and not is_lonely

    def _run(self, input_id: str, container_id: str) -> None:
        rng = self._world.rng
        hand = self.hands[input_id]
        hand.container_id = container_id
        box = self.boxes[container_id]
        if box.was_used and self._is_single_use(box):
            self._world.fail(f"{container_id} is used a second time, for {input_id}")
        box.was_used = True
        box.busy[input_id] = None
        attempt = hand.attempt
        self._world.note_run(hand.function_id)
        if rng.random() < 0.5:
            begun = Started(input_id, attempt, container_id)
            self._send(hand.function_id, started=(begun,))
        seconds = rng.choice((0.001, 0.1, 1.0, 5.0)) * rng.random()
        if not self._world.is_calm and rng.random() < 0.01:
            seconds = 200.0  # longer than its timeout, which this worker does not watch
        self._world.after(seconds, lambda: self._finish(input_id, attempt, container_id))

    def _finish(self, input_id: str, attempt: int, container_id: str) -> None:
        hand = self.hands.get(input_id)
        box = self.boxes.get(container_id)
        is_mine = hand is not None and hand.attempt == attempt and hand.container_id == container_id
        if self.is_dead or box is None or input_id not in box.busy or hand is None or not is_mine:
            return
        rng = self._world.rng
        luck = 1.0 if self._world.is_calm else rng.random()
        if luck < 0.05:
            self._die(container_id)
            return
        del self.hands[input_id]
        del box.busy[input_id]
        if luck < 0.15:
            result = Result(input_id, attempt, InputState.FAILED, FailureKind.EXCEPTION, "boom")
        elif luck < 0.2:
            result = Result(input_id, attempt, InputState.TIMED_OUT, FailureKind.TIMEOUT)
        elif luck < 0.24:
            result = Result(input_id, attempt, InputState.FAILED, FailureKind.OUT_OF_MEMORY, "oom")
        else:
            result = Result(input_id, attempt, InputState.SUCCEEDED, body=b"ok")
        self._send(hand.function_id, self._retired(container_id), results=(result,))
        self._go_on(container_id, hand.function_id)

    def _retired(self, container_id: str) -> tuple[ContainerReport, ...]:
        """Say with the result of a container of a single use that it takes nothing more."""
        box = self.boxes[container_id]
        if not self._is_single_use(box):
            return ()
        box.state = ContainerState.STOPPING
        return (
            ContainerReport(
                container_id, box.function_id, ContainerState.STOPPING, gpu_indices=box.gpus
            ),
        )

    def _die(self, container_id: str) -> None:
        """End the container by itself: whoever ran in it may have been the reason, unless it was alone."""
        running = {i: self.hands.pop(i) for i in self.boxes[container_id].busy if i in self.hands}
        returned = tuple(
            Returned(i, hand.attempt, "it died", retry_alone=not hand.alone)
            for i, hand in running.items()
        )
        self._end_box(container_id, ContainerState.DIED, returned)

    def _drop(self, input_id: str) -> None:
        for held, attempt in list(self._unacknowledged):
            if held == input_id:
                self.acknowledge(held, attempt)
        hand = self.hands.pop(input_id, None)
        if hand is not None and hand.container_id in self.boxes:
            self.boxes[hand.container_id].busy.pop(input_id, None)
            self._go_on(hand.container_id, hand.function_id)

    def _go_on(self, container_id: str, function_id: str) -> None:
        box = self.boxes[container_id]
        if self._is_single_use(box):
            self._stop(container_id)
        elif box.state is ContainerState.STOPPING and not box.busy:
            self._end_box(container_id, ContainerState.STOPPED)
        self._feed(function_id)
