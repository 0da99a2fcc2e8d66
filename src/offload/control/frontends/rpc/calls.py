"""The service `Calls`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.frontends.rpc.errors import invalid
from offload.control.frontends.rpc.values import (
    KIND_OF,
    KIND_TO_WIRE,
    STATE_TO_WIRE,
    by_size,
    log_message,
    outcome_message,
)
from offload.control.services.submission import NO_OPTIONS, CallOptions, NewCall, NewInput
from offload.wire.gen import calls_pb2
from offload.wire.rpc import Promise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable

    from offload.control.core.dispatch import InputView
    from offload.control.services.assembly import Services
    from offload.control.services.inspection import CallView
    from offload.control.services.views import DeadLetter, OutcomeRow
    from offload.wire.rpc import RequestContext

MAX_INDEX = 2**32 - 1
MAX_LETTERS = 5_000  # in one answer, or submitted again at once


class CallsHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._calls = services.calls
        self._following = services.following
        self._abandoned = services.abandoned
        self._letters = services.letters
        self._inspection = services.inspection
        self._logs = services.logs

    def run(
        self, request: calls_pb2.RunRequest, _context: RequestContext
    ) -> Promise[OutcomeRow] | Awaitable[calls_pb2.RunReply]:
        """See `Calls.Run`."""
        only = NewInput(0, request.args.SerializeToString(), request.args.blob.sha256)
        is_plain = not request.is_repeat and not request.HasField("options")
        reply = Promise(_run_reply)
        if is_plain and self._calls.run_new(
            request.call_id, request.function_id, only, reply.settle
        ):
            return reply
        return self._join(request, only)

    async def _join(self, request: calls_pb2.RunRequest, only: NewInput) -> calls_pb2.RunReply:
        row = await self._calls.run(
            request.call_id,
            request.function_id,
            only,
            is_repeat=request.is_repeat,
            options=_options(request.options) if request.HasField("options") else NO_OPTIONS,
        )
        return _run_reply(row)

    async def submit(
        self, request: calls_pb2.SubmitRequest, _context: RequestContext
    ) -> calls_pb2.SubmitReply:
        """See `Calls.Submit`."""
        new, inputs = _new_call(request), _inputs(request.inputs)
        return calls_pb2.SubmitReply(call_id=await self._calls.submit(new, inputs))

    async def submit_graph(
        self, request: calls_pb2.SubmitGraphRequest, _context: RequestContext
    ) -> calls_pb2.SubmitGraphReply:
        """See `Calls.SubmitGraph`."""
        graph = [(_new_call(each), _inputs(each.inputs)) for each in request.calls]
        return calls_pb2.SubmitGraphReply(call_ids=await self._calls.submit_graph(graph))

    async def add_inputs(
        self, request: calls_pb2.AddInputsRequest, _context: RequestContext
    ) -> calls_pb2.AddInputsReply:
        """See `Calls.AddInputs`."""
        await self._calls.add_inputs(request.call_id, _inputs(request.inputs), request.close)
        return calls_pb2.AddInputsReply()

    async def outcomes(
        self, request: calls_pb2.OutcomesRequest, _context: RequestContext
    ) -> AsyncIterator[calls_pb2.OutcomeBatch]:
        """See `Calls.Outcomes`."""
        follower = await self._following.outcomes(request.call_id, request.after_seq)
        with self._abandoned.followed(request.call_id):
            async for rows in follower.batches():
                for part in by_size(rows, _outcome_size):
                    yield _outcome_batch(part)

    async def items(
        self, request: calls_pb2.ItemsRequest, _context: RequestContext
    ) -> AsyncIterator[calls_pb2.ItemBatch]:
        """See `Calls.Items`."""
        follower, input_id = await self._following.items(
            request.call_id, request.index, request.after_item
        )
        with self._abandoned.followed(request.call_id):
            async for rows in follower.batches():
                for part in by_size(rows, lambda row: len(row.payload) + 16):
                    batch = calls_pb2.ItemBatch()
                    for row in part:
                        item = batch.items.add(seq=row.seq)
                        item.value.ParseFromString(row.payload)
                    yield batch
        outcome = await self._following.outcome(input_id)
        if outcome is not None:
            yield calls_pb2.ItemBatch(outcome=outcome_message(outcome))

    async def describe(
        self, request: calls_pb2.DescribeRequest, _context: RequestContext
    ) -> calls_pb2.CallDescription:
        """See `Calls.Describe`."""
        return _description(
            await self._inspection.describe(request.call_id, min(request.input_limit, 5000))
        )

    async def list_calls(
        self, request: calls_pb2.ListCallsRequest, _context: RequestContext
    ) -> calls_pb2.ListCallsReply:
        """See `Calls.ListCalls`."""
        views = await self._inspection.list(request.app_id, request.open_only, request.limit)
        return calls_pb2.ListCallsReply(calls=[_description(view) for view in views])

    async def cancel(
        self, request: calls_pb2.CancelRequest, _context: RequestContext
    ) -> calls_pb2.CancelReply:
        """See `Calls.Cancel`."""
        count = await self._calls.cancel(request.call_id, request.reason)
        return calls_pb2.CancelReply(cancelled_inputs=count)

    async def list_dead_letters(
        self, request: calls_pb2.ListDeadLettersRequest, _context: RequestContext
    ) -> calls_pb2.ListDeadLettersReply:
        """See `Calls.ListDeadLetters`."""
        limit = min(request.limit or 100, MAX_LETTERS)
        letters, total = await self._letters.newest(request.app_id, limit)
        return calls_pb2.ListDeadLettersReply(letters=map(_letter, letters), total=total)

    async def replay_dead_letters(
        self, request: calls_pb2.DeadLettersRequest, _context: RequestContext
    ) -> calls_pb2.ReplayDeadLettersReply:
        """See `Calls.ReplayDeadLetters`."""
        replays = await self._letters.replay(await self._named(request))
        return calls_pb2.ReplayDeadLettersReply(
            replays=[calls_pb2.Replay(input_id=i, call_id=c) for i, c in replays]
        )

    async def drop_dead_letters(
        self, request: calls_pb2.DeadLettersRequest, _context: RequestContext
    ) -> calls_pb2.DropDeadLettersReply:
        """See `Calls.DropDeadLetters`."""
        dropped = await self._letters.drop(await self._named(request))
        return calls_pb2.DropDeadLettersReply(dropped=dropped)

    async def _named(self, request: calls_pb2.DeadLettersRequest) -> list[str]:
        if bool(request.input_ids) == request.all:
            raise invalid("Name the dead letters by their input ids, or say all.")
        if not request.all:
            return list(request.input_ids)
        letters, _ = await self._letters.newest(request.app_id, MAX_LETTERS)
        return [letter.input_id for letter in letters]

    async def logs(
        self, request: calls_pb2.LogsRequest, _context: RequestContext
    ) -> AsyncIterator[calls_pb2.LogBatch]:
        """See `Calls.Logs`."""
        if bool(request.call_id) == bool(request.app_id):
            raise invalid("Name either a call or an app to read logs of.")
        call_id, app_id, is_live = await self._logs.resolve(request.call_id, request.app_id)
        live = is_live and request.follow
        follower = self._logs.follow(call_id, app_id, request.after_seq, live)
        async for rows in follower.batches():
            for part in by_size(rows, lambda row: len(row.text) * 4 + 200):
                yield calls_pb2.LogBatch(lines=[log_message(row) for row in part])


def _run_reply(row: OutcomeRow) -> calls_pb2.RunReply:
    return calls_pb2.RunReply(
        outcome=outcome_message(row), input_id=row.input_id, call_id=row.call_id
    )


def _outcome_batch(rows: Iterable[OutcomeRow]) -> calls_pb2.OutcomeBatch:
    return calls_pb2.OutcomeBatch(
        outcomes=[
            calls_pb2.IndexedOutcome(seq=row.seq, index=row.index, outcome=outcome_message(row))
            for row in rows
        ]
    )


def _new_call(request: calls_pb2.SubmitRequest) -> NewCall:
    kind = KIND_OF.get(request.kind)
    if kind is None:
        raise invalid(
            "A call needs a kind: CALL_KIND_SINGLE, CALL_KIND_MAP or CALL_KIND_GENERATOR."
        )
    return NewCall(
        request.call_id,
        request.function_id,
        kind,
        request.attached,
        True,
        request.closed,
        request.is_repeat,
        _options(request.options) if request.HasField("options") else NO_OPTIONS,
    )


def _options(options: calls_pb2.CallOptions) -> CallOptions:
    return CallOptions(
        options.priority,
        options.timeout_seconds,
        tuple(options.after),
        options.run_anyway,
        options.idempotency_key,
        options.delay_seconds,
        options.start_at,
        options.any_version,
    )


def _inputs(inputs: Iterable[calls_pb2.Input]) -> list[NewInput]:
    new = [NewInput(i.index, i.args.SerializeToString(), i.args.blob.sha256) for i in inputs]
    if any(each.index > MAX_INDEX for each in new):
        raise invalid(f"An input's index must be at most {MAX_INDEX}.")
    return new


def _letter(letter: DeadLetter) -> calls_pb2.DeadLetter:
    return calls_pb2.DeadLetter(
        input_id=letter.input_id,
        call_id=letter.call_id,
        index=letter.index,
        app_name=letter.app_name,
        function_name=letter.function_name,
        attempts=letter.attempts,
        at=letter.at,
        reason=letter.reason,
    )


def _outcome_size(row: OutcomeRow) -> int:
    return len(row.body) + len(row.reason) + 32


def _description(view: CallView) -> calls_pb2.CallDescription:
    call = view.call
    return calls_pb2.CallDescription(
        call_id=call.call_id,
        app_id=call.app_id,
        app_name=call.app_name,
        function_id=call.function_id,
        function_name=call.function_name,
        kind=KIND_TO_WIRE[call.kind],
        created_at=call.created_at,
        finished_at=call.finished_at,
        closed=call.closed,
        state=view.state,
        counts=view.counts,
        inputs=[*map(_unfinished, view.unfinished), *map(_finished, view.finished)],
        options=calls_pb2.CallOptions(
            priority=call.priority,
            timeout_seconds=call.deadline - (call.not_before or call.created_at)
            if call.deadline
            else 0.0,
            after=call.after,
            run_anyway=call.run_anyway,
            start_at=call.not_before,
        ),
        waiting_reason=view.waiting_reason,
    )


def _unfinished(view: InputView) -> calls_pb2.InputDescription:
    return calls_pb2.InputDescription(
        index=view.index,
        input_id=view.input_id,
        state=STATE_TO_WIRE[view.state],
        attempts=view.attempts,
        reason=view.reason,
        worker_id=view.worker_id,
        container_id=view.container_id,
    )


def _finished(row: OutcomeRow) -> calls_pb2.InputDescription:
    return calls_pb2.InputDescription(
        index=row.index,
        input_id=row.input_id,
        state=STATE_TO_WIRE[row.state],
        attempts=row.attempts,
        reason=row.reason,
    )
