"""One ready container's side of the desk: what it is told and what it says. Nothing it says is trusted."""

from __future__ import annotations

from collections import defaultdict
from typing import IO, TYPE_CHECKING, Protocol

from offload.wire import guest
from offload.worker.core.text import cut, split_long
from offload.worker.core.values import Failure, FailureKind, Line, OutcomeState
from offload.worker.inputs.outcomes import check_body, write_body, write_failure, write_result
from offload.worker.inputs.spool import Spool

if TYPE_CHECKING:
    from offload.worker.core.hands import Hand, Interrupt
    from offload.worker.core.prefetch import RunTimes
    from offload.worker.core.values import Function, Task
    from offload.worker.inputs.options import DeskOptions, Guest
    from offload.worker.inputs.spool import SpooledBody
    from offload.worker.inputs.uploads import Blob, Uploads

# What an entry takes without its payload; only to know when a batch is full.
_ENTRY_BYTES = 128


class Owner(Protocol):
    """The desk, as a conversation needs it."""

    options: DeskOptions
    uploads: Uploads

    def answered(self, input_id: str) -> None:
        """Forget an input that has its outcome."""

    def came_free(self, talk: Conversation) -> None:
        """Give on what the container has room for."""

    def put_back(self, talk: Conversation, tasks: list[Task]) -> None:
        """Take inputs that the container has not begun and will not."""


class Conversation:
    """What the desk and one container tell each other."""

    def __init__(
        self, container: Guest, hand: Hand, function: Function, times: RunTimes, owner: Owner
    ) -> None:
        self.container = container
        self.hand = hand
        self.function = function
        self._times = times
        self._owner = owner
        options = owner.options
        self._now = options.monotonic
        self._uplink = options.uplink
        self._spool = Spool(
            options.spool_dir, options.spool_bytes_per_container, function.max_inputs
        )
        self._item_seqs: dict[str, int] = {}
        # What an input has written is there for whoever has its result.
        self._commits = any(not mount.is_read_only for mount in function.volumes)

    def close(self) -> None:
        """Drop what the container has not finished saying. Idempotent."""
        self._spool.close()

    # --- what it is told ---

    def run(self, tasks: list[Task], files: dict[str, IO[bytes]]) -> None:
        """Hand inputs over; large arguments are taken from `files`."""
        entries = []
        for task in tasks:
            args = task.args
            if args.sha256:
                number = self.container.send_file(files.pop(task.input_id))
                body = guest.Body(args.encoding, b"", number)
            else:
                body = guest.Body(args.encoding, args.inline)
            entries.append(guest.Task(task.input_id, task.attempt, body))
        self.container.send(guest.Run(tuple(entries)))

    def take_back(self) -> None:
        """Ask for what has not begun."""
        self.hand.is_taking_back = True
        self.container.send(guest.GiveBack())

    def interrupt(self, interrupts: dict[str, Interrupt]) -> None:
        """End inputs in hand. Repeats are harmless.

        What has not begun is asked back first: so it is certain that whatever does not come back runs, and is hit.
        """
        now = self._now()
        alike: dict[Interrupt, list[str]] = defaultdict(list)
        for input_id, interrupt in interrupts.items():
            if input_id not in self.hand.interrupts:
                self.hand.interrupt(input_id, interrupt, now)
                alike[interrupt].append(input_id)
        if alike:
            self.take_back()
        for interrupt, input_ids in alike.items():
            self.container.send(
                guest.Cancel(tuple(input_ids), interrupt.timed_out, interrupt.reason)
            )

    def kill_stuck(self) -> None:
        """End the container, because an input of it could not be interrupted."""
        self.container.kill("its container did not let go of an input that was interrupted")

    # --- what it says ---

    def hear(self, message: guest.Message) -> None:
        """Take one message. Raises `guest.GuestProtocolError` for what it may not say."""
        if isinstance(message, guest.Results):
            now = self._now()
            for result in message.results:
                self._result(result, now)
            self._owner.came_free(self)
        elif isinstance(message, guest.Outputs):
            self._outputs(message)
        elif isinstance(message, guest.Begun):
            self._begun(message)
        elif isinstance(message, guest.Item):
            self._item(message)
        elif isinstance(message, guest.Bulk):
            self._spool.feed(message)
        elif isinstance(message, guest.GivenBack):
            self._given_back(message)
        else:
            raise guest.GuestProtocolError(f"a runner does not say {type(message).__name__}")

    def _result(self, result: guest.Result, now: float) -> None:
        hand = self.hand
        input_id = result.input_id
        interrupt = hand.interrupts.get(input_id) if hand.interrupts else None
        if hand.take(input_id, result.attempt, now) is None:
            raise _not_in_hand("a result", input_id, result.attempt)
        if self._item_seqs:
            self._item_seqs.pop(input_id, None)
        self._times.measured(result.run_seconds)
        fault = result.fault
        body = result.value if fault is None else fault.exception
        size_bytes = _ENTRY_BYTES if fault is None else _ENTRY_BYTES * 16
        spooled = None
        if body is not None:
            check_body(body)
            size_bytes += len(body.inline)
            if body.bulk:
                spooled = self._spool.take(body.bulk)
        if spooled is not None and fault is not None and self.container.hides_values:
            # It is too large to be looked through for them; type, message and traceback remain.
            spooled.close()
            spooled, result = None, result._replace(fault=fault._replace(exception=None))
        if spooled is None and not self._commits and not self._owner.uploads.has(input_id):
            write_result(self._uplink.gathering(size_bytes), result, interrupt, None)
            self._owner.answered(input_id)
        else:
            self._store_result(result, interrupt, spooled)

    def _store_result(
        self, result: guest.Result, interrupt: Interrupt | None, spooled: SpooledBody | None
    ) -> None:
        def stored(blob: Blob | None, why_not: str) -> None:
            message = self._uplink.gathering(_ENTRY_BYTES * 16)
            if why_not and result.fault is None:
                failure = Failure(
                    FailureKind.EXCEPTION, f"its result could not be stored: {why_not}"
                )
                write_failure(
                    message, result.input_id, result.attempt, OutcomeState.FAILED, failure
                )
            else:
                write_result(message, result, interrupt, blob)
            self._owner.answered(result.input_id)

        self._owner.uploads.add(
            result.input_id, self.container.container_id, spooled, stored, commits=self._commits
        )

    def _item(self, item: guest.Item) -> None:
        task = self.hand.tasks.get(item.input_id)
        if task is None or task.attempt != item.attempt:
            raise _not_in_hand("an item", item.input_id, item.attempt)
        expected = self._item_seqs.get(item.input_id, 0) + 1
        if item.seq != expected:
            raise guest.GuestProtocolError(f"item {item.seq} came where {expected} was due")
        self._item_seqs[item.input_id] = expected
        self.hand.begun = item.input_id
        check_body(item.value)
        spooled = self._spool.take(item.value.bulk) if item.value.bulk else None
        if spooled is None and not self._owner.uploads.has(item.input_id):
            self._write_item(item, None)
            return

        def stored(blob: Blob | None, why_not: str) -> None:
            if why_not:
                self.container.kill(f"item {item.seq} could not be stored: {why_not}")
            else:
                self._write_item(item, blob)

        self._owner.uploads.add(item.input_id, self.container.container_id, spooled, stored)

    def _write_item(self, item: guest.Item, blob: Blob | None) -> None:
        entry = self._uplink.gathering(_ENTRY_BYTES + len(item.value.inline)).items.add()
        entry.input_id = item.input_id
        entry.attempt = item.attempt
        entry.seq = item.seq
        write_body(entry.value, item.value, blob)

    def _begun(self, begun: guest.Begun) -> None:
        # The runner's watch tells it while its main thread runs: on a machine with much to do the end overtakes it.
        if not self.hand.began(begun.input_id, begun.attempt, self._now()):
            return
        self._uplink.gathering(_ENTRY_BYTES).started.add(
            input_id=begun.input_id,
            attempt=begun.attempt,
            container_id=self.container.container_id,
        )

    def _outputs(self, outputs: guest.Outputs) -> None:
        function = self.function
        for output in outputs.lines:
            if output.stream not in {"stdout", "stderr"}:
                raise guest.GuestProtocolError(f"no stream is called {cut(output.stream, 64)!r}")
            # A container may speak for its own inputs alone.
            input_id = output.input_id if output.input_id in self.hand.tasks else ""
            for text in split_long(output.text):
                self.container.print(
                    Line(
                        function.app_id,
                        function.name,
                        self.container.container_id,
                        input_id,
                        output.stream,
                        text,
                    )
                )

    def _given_back(self, message: guest.GivenBack) -> None:
        hand = self.hand
        hand.is_taking_back = False
        returned = []
        for input_id in message.input_ids:
            interrupt = hand.interrupts.get(input_id)
            known = hand.take_back(input_id)
            if known is None:
                raise _not_in_hand("a return", input_id, 0)
            if interrupt is not None and not interrupt.timed_out:
                failure = Failure(FailureKind.CANCELLED, interrupt.reason)
                message_ = self._uplink.gathering(_ENTRY_BYTES)
                write_failure(message_, input_id, known.attempt, OutcomeState.CANCELLED, failure)
                self._owner.answered(input_id)
            else:
                returned.append(known)
        self._owner.put_back(self, returned)
        self._owner.came_free(self)


def _not_in_hand(what: str, input_id: str, attempt: int) -> guest.GuestProtocolError:
    return guest.GuestProtocolError(
        f"{what} came for attempt {attempt} of input {cut(input_id, 64)!r}, which it was not given"
    )
