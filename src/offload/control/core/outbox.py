"""What one event leads to, gathered until the dispatcher answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.instructions import (
    CallCompleted,
    CancelInputs,
    Finished,
    FinishedRun,
    Instruction,
    RecordHistory,
    RecordOutcomes,
    RecordRuns,
)

if TYPE_CHECKING:
    from offload.control.core.events import History
    from offload.control.core.model import Call


class Outbox:
    """Instructions in the order their readers rely on: outcomes, ends of calls, histories, cancellations, the rest."""

    __slots__ = ("_cancelled", "_completed", "_histories", "_orders", "_outcomes", "_runs")

    def __init__(self) -> None:
        self._outcomes: list[Finished] = []
        self._runs: list[FinishedRun] = []
        self._completed: list[CallCompleted] = []
        self._cancelled: dict[tuple[str, str], list[str]] = {}
        self._histories: dict[tuple[str, int], History] = {}
        self._orders: list[Instruction] = []

    def record(self, outcome: Finished) -> None:
        """Add an input's outcome."""
        self._outcomes.append(outcome)
        if self._histories:
            self._histories.pop((outcome.call_id, outcome.index), None)

    def record_run(self, run: FinishedRun) -> None:
        """Add the outcome of many inputs."""
        self._runs.append(run)

    def complete(self, call: Call, state: str) -> None:
        """Add a call's end."""
        self._completed.append(CallCompleted(call, state))

    def cancel(self, worker_id: str, input_id: str, reason: str) -> None:
        """Have a worker end an input."""
        self._cancelled.setdefault((worker_id, reason), []).append(input_id)

    def remember(self, call_id: str, history: History) -> None:
        """Keep an input's history, unless it ends in the same event."""
        self._histories[call_id, history.index] = history

    def order(self, instruction: Instruction) -> None:
        """Add any other instruction."""
        self._orders.append(instruction)

    def take(self) -> list[Instruction]:
        """Return all of it and be empty."""
        instructions: list[Instruction] = []
        if self._outcomes:
            instructions.append(RecordOutcomes(tuple(self._outcomes)))
            self._outcomes = []
        if self._runs:
            instructions.append(RecordRuns(tuple(self._runs)))
            self._runs = []
        if self._completed:
            instructions += self._completed
            self._completed = []
        if self._histories:
            instructions += [
                RecordHistory(call_id, history) for (call_id, _), history in self._histories.items()
            ]
            self._histories = {}
        if self._cancelled:
            instructions += [
                CancelInputs(worker_id, tuple(ids), reason)
                for (worker_id, reason), ids in self._cancelled.items()
            ]
            self._cancelled = {}
        if self._orders:
            instructions += self._orders
            self._orders = []
        return instructions
