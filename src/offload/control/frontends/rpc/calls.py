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
from offload.control.services.calls import NewCall
from offload.wire.gen import calls_pb2
from offload.wire.rpc import Promise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable

    from offload.control.core.dispatch import InputView
    from offload.control.services.assembly import Services
    from offload.control.services.inspection import CallView
    from offload.control.services.views import OutcomeRow
    from offload.wire.rpc import RequestContext

MAX_INDEX = 2**32 - 1


class CallsHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._calls = services.calls
        self._inspection = services.inspection
        self._logs = services.logs

    def run(
        self, request: calls_pb2.RunRequest, _context: RequestContext
    ) -> Promise[OutcomeRow] | Awaitable[calls_pb2.RunReply]:
        """See `Calls.Run`."""
        call_id, function_id = request.call_id, request.function_id
        payload = request.args.SerializeToString()
        reply = Promise(_run_reply)
        if not request.is_repeat and self._calls.run_new(
            call_id, function_id, payload, reply.settle
        ):
            return reply
        return self._join(call_id, function_id, payload, is_repeat=request.is_repeat)

    async def _join(
        self, call_id: str, function_id: str, payload: bytes, *, is_repeat: bool
    ) -> calls_pb2.RunReply:
        return _run_reply(await self._calls.run(call_id, function_id, payload, is_repeat=is_repeat))

    async def submit(
        self, request: calls_pb2.SubmitRequest, _context: RequestContext
    ) -> calls_pb2.SubmitReply:
        """See `Calls.Submit`."""
        kind = KIND_OF.get(request.kind)
        if kind is None:
            raise invalid(
                "A call needs a kind: CALL_KIND_SINGLE, CALL_KIND_MAP or CALL_KIND_GENERATOR."
            )
        new = NewCall(
            request.call_id,
            request.function_id,
            kind,
            request.attached,
            True,
            request.closed,
            request.is_repeat,
        )
        return calls_pb2.SubmitReply(call_id=await self._calls.submit(new, _inputs(request.inputs)))

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
        follower = await self._calls.follow_outcomes(request.call_id, request.after_seq)
        async for rows in follower.batches():
            for part in by_size(rows, _outcome_size):
                yield calls_pb2.OutcomeBatch(
                    outcomes=[
                        calls_pb2.IndexedOutcome(
                            seq=row.seq, index=row.index, outcome=outcome_message(row)
                        )
                        for row in part
                    ]
                )

    async def items(
        self, request: calls_pb2.ItemsRequest, _context: RequestContext
    ) -> AsyncIterator[calls_pb2.ItemBatch]:
        """See `Calls.Items`."""
        follower, input_id = await self._calls.follow_items(
            request.call_id, request.index, request.after_item
        )
        async for rows in follower.batches():
            for part in by_size(rows, lambda row: len(row.payload) + 16):
                batch = calls_pb2.ItemBatch()
                for row in part:
                    item = batch.items.add(seq=row.seq)
                    item.value.ParseFromString(row.payload)
                yield batch
        outcome = await self._calls.outcome(input_id)
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
        for view in views:
            view.unfinished.clear()
        return calls_pb2.ListCallsReply(calls=[_description(view) for view in views])

    async def cancel(
        self, request: calls_pb2.CancelRequest, _context: RequestContext
    ) -> calls_pb2.CancelReply:
        """See `Calls.Cancel`."""
        count = await self._calls.cancel(request.call_id, request.reason)
        return calls_pb2.CancelReply(cancelled_inputs=count)

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
    return calls_pb2.RunReply(outcome=outcome_message(row), input_id=row.input_id)


def _inputs(inputs: Iterable[calls_pb2.Input]) -> list[tuple[int, bytes]]:
    pairs = [(given.index, given.args.SerializeToString()) for given in inputs]
    if any(index > MAX_INDEX for index, _ in pairs):
        raise invalid(f"An input's index must be at most {MAX_INDEX}.")
    return pairs


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
