"""A call with all that belongs to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from offload.control.core.events import CallRestored
from offload.control.core.ids import input_id
from offload.control.core.indices import Indices
from offload.control.core.inputs import InputState
from offload.control.ports.records import DeadLetter, OutcomeRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from offload.control.core.events import History
    from offload.control.core.model import Call, Function
    from offload.control.ports.records import InputRow, ItemRow, SaveOutcomeRun


@dataclass(slots=True)
class HeldCall:
    """What is known of a call."""

    call: Call
    inputs: dict[int, InputRow] = field(default_factory=dict)
    items: dict[int, dict[int, ItemRow]] = field(default_factory=dict)
    histories: dict[int, History] = field(default_factory=dict)
    closed: bool = False
    total: int = 0
    state: str = ""
    finished_at: float = 0.0
    letters: dict[int, OutcomeRow] = field(default_factory=dict)
    _outcomes: dict[int, OutcomeRow] = field(default_factory=dict)
    _runs: list[SaveOutcomeRun] = field(default_factory=list)  # apart from each other and from rows
    _in_runs: Indices = field(default_factory=Indices)

    @property
    def counts(self) -> dict[str, int]:
        """How many outcomes there are of each state."""
        counts = Counter(row.state.value for row in self._outcomes.values())
        for run in self._runs:
            counts[run.state.value] += run.count
        return dict(counts)

    @property
    def row_count(self) -> int:
        """How much there is to remove."""
        items = sum(map(len, self.items.values()))
        ended = len(self._outcomes) + len(self._runs)
        return 1 + len(self.inputs) + ended + items + len(self.histories)

    def blobs(self) -> Iterator[str]:
        """Return what the rows name."""
        rows: list[InputRow | OutcomeRow | ItemRow] = [
            *self.inputs.values(),
            *self._outcomes.values(),
        ]
        for items in self.items.values():
            rows += items.values()
        return (row.blob for row in rows if row.blob)

    def end(self, row: OutcomeRow) -> None:
        """Keep the outcome of an input that has none."""
        if row.index in self._outcomes or row.index in self._in_runs:
            return
        self._outcomes[row.index] = row
        if row.state is InputState.LOST:
            self.letters[row.index] = row

    def end_run(self, run: SaveOutcomeRun) -> None:
        """Keep the outcome for those inputs of the run that have none."""
        for new in self._in_runs.add(run.first, run.first + run.count):
            taken = sorted(index for index in self._outcomes if index in new)
            for piece in _gaps(new, taken):
                first_seq = run.first_seq + piece.start - run.first
                self._runs.append(
                    replace(run, first=piece.start, count=len(piece), first_seq=first_seq)
                )

    def outcome(self, index: int) -> OutcomeRow | None:
        """Return the outcome of an input, if it has one."""
        runs = (run for run in self._runs if run.first <= index < run.first + run.count)
        run = next(runs, None)
        return _outcome_in(run, index) if run else self._outcomes.get(index)

    def outcomes(self, after_seq: int, limit: int) -> list[OutcomeRow]:
        """Return outcomes in the order of their seq."""
        later = [row for row in self._outcomes.values() if row.seq > after_seq]
        for run in self._runs:
            first = run.first + max(0, after_seq + 1 - run.first_seq)
            indices = range(first, run.first + run.count)
            later += [_outcome_in(run, index) for index in islice(indices, limit)]
        return sorted(later, key=lambda row: (row.seq, row.index))[:limit]

    def failures(self, limit: int) -> list[OutcomeRow]:
        """Return the first outcomes that are no success, in the order of their seq."""
        failed = [row for row in self._outcomes.values() if row.state is not InputState.SUCCEEDED]
        for run in self._runs:
            if run.state is not InputState.SUCCEEDED:
                indices = range(run.first, run.first + run.count)
                failed += [_outcome_in(run, index) for index in islice(indices, limit)]
        return sorted(failed, key=lambda row: (row.seq, row.index))[:limit]

    def letter(self, index: int, function: Function) -> DeadLetter:
        """Return the dead letter of one of its inputs."""
        row, given = self.letters[index], self.inputs.get(index)
        return DeadLetter(
            input_id=row.input_id,
            call_id=row.call_id,
            index=index,
            app_name=function.app_name,
            function_id=function.function_id,
            function_name=function.name,
            attempts=row.attempts,
            at=row.at,
            reason=row.reason,
            blob=given.blob if given is not None else "",
        )

    def restored(self, ended: tuple[tuple[str, str], ...]) -> CallRestored:
        """Return what a server needs to go on with the call."""
        known = sorted(self.inputs)
        unfinished = [i for i in known if i not in self._outcomes and i not in self._in_runs]
        return CallRestored(
            call=self.call,
            known=_runs_of(known),
            unfinished=_runs_of(unfinished),
            closed=self.closed,
            tried=tuple(self.histories[i] for i in unfinished if i in self.histories),
            counts=self.counts,
            ended=ended,
        )


def _outcome_in(run: SaveOutcomeRun, index: int) -> OutcomeRow:
    return OutcomeRow(
        input_id=input_id(run.call_id, index),
        call_id=run.call_id,
        index=index,
        seq=run.first_seq + index - run.first,
        attempts=0,
        state=run.state,
        failure=run.failure,
        reason=run.reason,
        body=run.body,
        at=run.at,
    )


def _gaps(within: range, taken: Iterable[int]) -> Iterator[range]:
    start = within.start
    for index in chain(taken, [within.stop]):
        if start < index:
            yield range(start, index)
        start = index + 1


def _runs_of(rising: Iterable[int]) -> tuple[range, ...]:
    runs: list[range] = []
    for index in rising:
        if runs and runs[-1].stop == index:
            runs[-1] = range(runs[-1].start, index + 1)
        else:
            runs.append(range(index, index + 1))
    return tuple(runs)
