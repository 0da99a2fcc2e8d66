"""The desk itself: what arrives from the server and from containers, and what is done about it.

The decisions are `core.hands` and `core.attribution`; this module carries them out. No task per input: everything is
a plain call from a socket's callback, except the fetching of large arguments and the storing of large results.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import IO, TYPE_CHECKING

from offload.wire import guest
from offload.worker.core.attribution import blame, failure_of
from offload.worker.core.hands import FunctionQueue, Interrupt
from offload.worker.core.other_hands import make_hand
from offload.worker.core.prefetch import is_worth_announcing
from offload.worker.core.values import (
    Content,
    Failure,
    FailureKind,
    Function,
    Held,
    OutcomeState,
    Task,
)
from offload.worker.inputs.conversation import Conversation
from offload.worker.inputs.outcomes import write_failure
from offload.worker.inputs.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from offload.worker.core.attribution import Ending
    from offload.worker.inputs.options import DeskOptions, Guest

# What a message about one input without its payload takes; only to know when a batch is full.
_ENTRY_BYTES = 64


class Desk:
    """Every input of this worker, from its assignment to its outcome."""

    def __init__(self, options: DeskOptions) -> None:
        self.options = options
        self._uplink = options.uplink
        self._now = options.monotonic
        self._functions: dict[str, Function] = {}
        self._queues: dict[str, FunctionQueue] = {}
        self._held: dict[str, Held] = {}
        self._files: dict[str, IO[bytes]] = {}  # large arguments on this machine, by input
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self.uploads = Uploads(self._uplink.upload, self._hold, options.commit_volumes)
        self._conversations: dict[str, Conversation] = {}
        self._announced: dict[str, int] = {}
        self._unwanted: set[str] = set()  # functions to forget with their last container
        self._is_leaving = False

    @property
    def held(self) -> list[Held]:
        """Every attempt that has not been answered."""
        return list(self._held.values())

    @property
    def is_busy(self) -> bool:
        """Whether anything could become late."""
        return bool(self._held)

    def inputs_in_hand(self, container_id: str) -> int:
        """How many inputs the container has."""
        talk = self._conversations.get(container_id)
        return len(talk.hand.tasks) if talk else 0

    def current_input(self, container_id: str) -> str:
        """Return the input that the container runs, as far as anyone can tell; empty when none."""
        talk = self._conversations.get(container_id)
        return talk.hand.current if talk else ""

    # --- what the server wants ---

    def add_function(self, function: Function) -> None:
        """Know a function. Repeats are harmless."""
        self._unwanted.discard(function.function_id)
        if function.function_id not in self._functions:
            self._functions[function.function_id] = function
            self._queues[function.function_id] = FunctionQueue(
                function.timeout_seconds, self.options.cancel_grace_seconds, function.max_inputs
            )

    def forget_function(self, function_id: str) -> None:
        """Forget the function, once its last container is gone."""
        queue = self._queues.get(function_id)
        if queue is not None and queue.hands:
            self._unwanted.add(function_id)
        elif queue is not None:
            self._unwanted.discard(function_id)
            self._return(queue.drain(), "its function was dropped")
            del self._queues[function_id], self._functions[function_id]
            self._announced.pop(function_id, None)

    def assign(self, function_id: str, tasks: list[Task]) -> None:
        """Take inputs on and give them to containers; what cannot run here goes back."""
        queue = self._queues.get(function_id)
        fresh = [task for task in tasks if task.input_id not in self._held]
        if queue is None or not queue.hands or self._is_leaving:
            self._return(fresh, "its worker has no container for it any more")
            return
        held = self._held
        for task in fresh:
            held[task.input_id] = Held(task.input_id, task.attempt, function_id)
            if task.args.sha256:
                self._fetch(queue, task)
            else:
                queue.add((task,))
        self._place(queue)

    def cancel(self, cancels: tuple[tuple[str, str], ...]) -> None:
        """End inputs: those that wait at once, those in hand through their containers."""
        # Tens of thousands may come in one message: each queue is gone through once, and each hand.
        interrupts = {
            input_id: Interrupt(False, reason or "cancelled")
            for input_id, reason in cancels
            if input_id in self._held
        }
        for task in self._drop_waiting(interrupts.keys()):
            self._end(task, *_interrupted(interrupts[task.input_id]))
        for talk in self._conversations.values():
            in_hand = interrupts.keys() & talk.hand.tasks.keys()
            if in_hand:
                # In the order of the hand, not of a set.
                talk.interrupt({i: interrupts[i] for i in talk.hand.tasks if i in in_hand})

    # --- what happens to containers ---

    def add_container(self, function: Function, container: Guest) -> None:
        """Give a ready container work."""
        self.add_function(function)
        function_id = function.function_id
        queue = self._queues[function_id]
        hand = make_hand(function, container.container_id)
        queue.hands[container.container_id] = hand
        self._conversations[container.container_id] = Conversation(
            container, hand, function, queue.times, self
        )
        self._place(queue)
        self.announce(function_id)

    def stop_container(self, container_id: str) -> None:
        """Give the container nothing more; what it has not begun comes back by itself."""
        talk = self._conversations.get(container_id)
        if talk is not None:
            talk.hand.is_stopping = True
            self.announce(talk.function.function_id)

    def remove_container(self, container_id: str, ending: Ending, *, is_innocent: bool) -> None:
        """Decide about what was in the hand of a container that is gone."""
        talk = self._conversations.pop(container_id, None)
        if talk is None:
            return
        talk.close()
        queue = self._queues[talk.function.function_id]
        del queue.hands[container_id]
        self._settle(talk, queue, ending, is_innocent=is_innocent)
        if any(not hand.is_stopping for hand in queue.hands.values()):
            self._place(queue)
        else:
            self._return(queue.drain(), "its worker has no container for it any more")
        self.announce(talk.function.function_id)
        if talk.function.function_id in self._unwanted:
            self.forget_function(talk.function.function_id)

    def on_message(self, container_id: str, message: guest.Message) -> None:
        """Take what a container said. Raises `guest.GuestProtocolError` for what it may not say."""
        talk = self._conversations.get(container_id)
        if talk is None:
            raise guest.GuestProtocolError("it spoke of inputs before it was ready")
        talk.hear(message)

    def came_free(self, talk: Conversation) -> None:
        """Give on what a container's results have made room for."""
        function_id = talk.function.function_id
        queue = self._queues[function_id]
        if talk.hand.is_spent and not talk.hand.is_stopping:
            self.stop_container(talk.container.container_id)
            talk.container.retire(self.options.cancel_grace_seconds)
        self._place(queue)
        if is_worth_announcing(self._announced.get(function_id, 0), queue.window(self._now())):
            self.announce(function_id)

    def put_back(self, talk: Conversation, tasks: list[Task]) -> None:
        """Take inputs that a container has not begun into the queue again."""
        queue = self._queues[talk.function.function_id]
        if all(hand.is_stopping for hand in queue.hands.values()):
            self._return(tasks, "its container was stopped before it began")
            return
        self._enqueue(queue, tasks)
        self._place(queue)
        surplus = queue.held - queue.window(self._now())
        if surplus > 0:
            keep = max(0, queue.waiting - surplus)
            self._return(queue.drain(keep), "its worker is busy with slow inputs")

    def answered(self, input_id: str) -> None:
        """Forget an input that has its outcome."""
        self._held.pop(input_id, None)

    # --- time, and the end ---

    def tick(self) -> None:
        """Look for what has taken too long. To be called every few hundredths of a second while busy."""
        now = self._now()
        for function_id, queue in self._queues.items():
            if not queue.hands:
                continue
            late = queue.late(now)
            for hand in late.timed_out:
                seconds = queue.timeout_seconds
                late_one = Interrupt(True, f"ran longer than its timeout of {seconds:g} s")
                talk = self._conversations[hand.container_id]
                talk.interrupt(dict.fromkeys(hand.overdue(now, seconds), late_one))
            for hand in late.stuck:
                self._conversations[hand.container_id].kill_stuck()
            for hand in late.hiding:
                self._conversations[hand.container_id].take_back()
            if is_worth_announcing(self._announced.get(function_id, 0), queue.window(now)):
                self.announce(function_id)

    def announce(self, function_id: str) -> None:
        """Tell the server how many inputs of the function make sense here."""
        queue = self._queues.get(function_id)
        inputs = queue.window(self._now()) if queue and not self._is_leaving else 0
        if self._announced.get(function_id, 0) != inputs:
            self._announced[function_id] = inputs
            message = self._uplink.gathering(_ENTRY_BYTES)
            message.windows.add(function_id=function_id, inputs=inputs)

    def announce_all(self) -> None:
        """Tell a server that may know nothing."""
        self._announced.clear()
        for function_id in self._queues:
            self.announce(function_id)

    def leave(self) -> None:
        """Take nothing more on and give back what no container has."""
        self._is_leaving = True
        for fetch in self._fetches.values():
            fetch.cancel()
        for function_id, queue in self._queues.items():
            self._return(queue.drain(), "its worker is leaving")
            self.announce(function_id)

    @property
    def is_storing(self) -> bool:
        """Whether a large result is on its way."""
        return not self.uploads.is_idle

    async def wait_stored(self) -> None:
        """Return when no large result is on its way any more."""
        await self.uploads.wait_done()

    async def close(self) -> None:
        """Drop what is left. Idempotent."""
        for fetch in list(self._fetches.values()):
            fetch.cancel()
        await self.uploads.close()
        for talk in self._conversations.values():
            talk.close()
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _hold(self, container_id: str, on: bool) -> None:
        talk = self._conversations.get(container_id)
        if talk is not None:
            talk.container.hold("its results are on their way", on=on)

    def _place(self, queue: FunctionQueue) -> None:
        for hand, tasks in queue.place(self._now()):
            self._conversations[hand.container_id].run(tasks, self._files)

    def _settle(
        self, talk: Conversation, queue: FunctionQueue, ending: Ending, *, is_innocent: bool
    ) -> None:
        hand = talk.hand
        tasks = dict(hand.tasks)
        for input_id, interrupt in hand.interrupts.items():
            task = tasks.get(input_id)
            # Of those asked to end, the ones that had not begun would have come back before; this one ran.
            if task is not None:
                del tasks[input_id]
                self._end(task, *_interrupted(interrupt))
        if len(tasks) < len(hand.tasks):
            is_innocent = True
        running = ending.announced_input or hand.begun
        suspects = tuple(input_id for input_id in hand.suspects if input_id in tasks)
        verdict = blame(tuple(tasks), running, suspects=suspects, is_innocent=is_innocent)
        if verdict.guilty is not None:
            self._end(tasks[verdict.guilty], OutcomeState.FAILED, failure_of(ending))
        if verdict.suspects:
            reason = (
                f"one of several inputs in hand ended their container: {failure_of(ending).reason}"
            )
            self._return([tasks[i] for i in verdict.suspects], reason, retry_alone=True)
        returned = [tasks[input_id] for input_id in verdict.returned]
        if any(not other.is_stopping for other in queue.hands.values()):
            self._enqueue(queue, returned)
        else:
            self._return(returned, "its container ended before it began")

    def _enqueue(self, queue: FunctionQueue, tasks: list[Task]) -> None:
        queue.put_back([task for task in tasks if not task.args.sha256])
        for task in tasks:
            if task.args.sha256:
                self._fetch(queue, task)

    def _return(self, tasks: list[Task], reason: str, *, retry_alone: bool = False) -> None:
        for task in tasks:
            self.answered(task.input_id)
            file = self._files.pop(task.input_id, None)
            if file is not None:
                file.close()
            self._uplink.gathering(_ENTRY_BYTES + len(reason)).returned.add(
                input_id=task.input_id,
                attempt=task.attempt,
                reason=reason,
                retry_alone=retry_alone,
            )

    def _end(self, task: Task, state: OutcomeState, failure: Failure) -> None:
        self.answered(task.input_id)
        file = self._files.pop(task.input_id, None)
        if file is not None:
            file.close()
        write_failure(
            self._uplink.gathering(_ENTRY_BYTES + len(failure.reason)),
            task.input_id,
            task.attempt,
            state,
            failure,
        )

    def _drop_waiting(self, input_ids: AbstractSet[str]) -> list[Task]:
        dropped = []
        by_function: dict[str, set[str]] = defaultdict(set)
        for input_id in input_ids:
            held = self._held[input_id]
            fetch = self._fetches.get(input_id)
            if fetch is not None and not fetch.done():
                fetch.cancel()
                dropped.append(Task(input_id, held.attempt, Content("", b"")))
            elif held.function_id in self._queues:
                by_function[held.function_id].add(input_id)
        for function_id, wanted in by_function.items():
            dropped += self._queues[function_id].drop(wanted)
        return dropped

    def _fetch(self, queue: FunctionQueue, task: Task) -> None:
        fetch = asyncio.get_running_loop().create_task(self._fetch_arguments(queue, task))
        self._fetches[task.input_id] = fetch
        fetch.add_done_callback(lambda _: self._fetches.pop(task.input_id, None))

    async def _fetch_arguments(self, queue: FunctionQueue, task: Task) -> None:
        try:
            file = await self.options.open_blob(task.args)
        except OSError as error:
            reason = f"its arguments could not be brought to the worker: {error}"
            self._end(task, OutcomeState.FAILED, Failure(FailureKind.START, reason))
            return
        except asyncio.CancelledError:
            if self._is_leaving and task.input_id in self._held:
                self._return([task], "its worker is leaving")
            raise
        self._files[task.input_id] = file
        queue.add((task,))
        if any(not hand.is_stopping for hand in queue.hands.values()):
            self._place(queue)
        else:
            self._return(queue.drain(), "its worker has no container for it any more")


def _interrupted(interrupt: Interrupt) -> tuple[OutcomeState, Failure]:
    if interrupt.timed_out:
        return OutcomeState.TIMED_OUT, Failure(FailureKind.TIMEOUT, interrupt.reason)
    return OutcomeState.CANCELLED, Failure(FailureKind.CANCELLED, interrupt.reason)
