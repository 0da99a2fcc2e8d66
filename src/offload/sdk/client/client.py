"""The requests the SDK makes, one method each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from google.protobuf.message import Message

from offload.sdk.client import bodies, classes, definitions, translate
from offload.sdk.client.connection import Connection, ServerAddress
from offload.sdk.client.contents import ContentRequests
from offload.sdk.client.deployments import DeploymentRequests
from offload.sdk.client.inside import InsideConnection
from offload.sdk.client.objects import ObjectRequests
from offload.sdk.client.refusals import from_wire
from offload.sdk.client.requests import Requests
from offload.sdk.client.secrets import SecretRequests
from offload.sdk.client.volumes import VolumeRequests
from offload.sdk.client.web import WebRequests
from offload.sdk.serialize import ENCODING
from offload.sdk.values import CallStatus, Ended, Failure, Letter, Scaling
from offload.wire.gen import apps_pb2, calls_pb2, cluster_pb2, common_pb2
from offload.wire.host import host_id
from offload.wire.limits import INLINE_PAYLOAD_BYTES
from offload.wire.status import LinkClosedError, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from typing import IO

    from offload.sdk.call_options import CallOptions
    from offload.sdk.client.definitions import Registration
    from offload.sdk.client.direct import DirectRun, Reply
    from offload.sdk.values import Output
    from offload.wire.guest import Platform

M = TypeVar("M", bound=Message)

_SUCCEEDED = common_pb2.INPUT_STATE_SUCCEEDED
_LOST = common_pb2.INPUT_STATE_LOST


@dataclass(frozen=True)
class Submission:
    """A call with its first inputs, each an index and its pickled arguments."""

    call_id: str
    function_id: str
    kind: str  # "single", "map" or "generator"
    inputs: Sequence[tuple[int, bytes]]
    closed: bool
    attached: bool
    options: CallOptions | None = None  # None: the defaults


class Client(Requests):
    """Requests over one connection. Every coroutine runs on the loop that runs the first of them."""

    def __init__(self, find: Callable[[], ServerAddress], give_up_after_seconds: float) -> None:
        self._use(Connection(find, give_up_after_seconds))

    @classmethod
    def inside(cls, find: Callable[[], Platform]) -> Client:
        """Return the client of a container, which asks its worker."""
        client = cls.__new__(cls)
        connection: object = InsideConnection(find)
        client._use(cast("Connection", connection))  # noqa: SLF001  # its own; the two differ in how they come to be alone
        return client

    def _use(self, connection: Connection) -> None:
        super().__init__(connection)
        self.deployments = DeploymentRequests(connection)
        self.objects = ObjectRequests(connection)
        self.volumes = VolumeRequests(connection)
        self.secrets = SecretRequests(connection)
        self.contents = ContentRequests(connection)
        self.web = WebRequests(connection)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def create_app(
        self, name: str, app_id: str, workspace: str = "", environment: str = ""
    ) -> bool:
        """Open an ephemeral app; return whether a worker of this machine takes work."""
        request = apps_pb2.CreateAppRequest(
            name=name,
            app_id=app_id,
            workspace=workspace,
            environment=environment,
            host_id=host_id(),
        )
        reply = await self._unary("Apps/CreateApp", request, apps_pb2.CreateAppReply)
        return reply.has_worker_on_host

    async def stop_app(
        self, app_id: str, *, cancel: bool, reason: str, linger_seconds: float = 0.0
    ) -> None:
        """End an app; with `cancel`, what was spawned in it too. Its output comes so much longer, if its containers do."""
        request = apps_pb2.StopAppRequest(
            app_id=app_id, cancel=cancel, reason=reason, linger_seconds=linger_seconds
        )
        await self._unary("Apps/StopApp", request, apps_pb2.StopAppReply)

    async def register(self, app_id: str, function: Registration) -> str:
        """Make a function known to the server; return its id."""
        definition = await definitions.describe(self._connection, function)
        definition.app_id = app_id
        request = apps_pb2.RegisterFunctionsRequest(app_id=app_id, functions=[definition])
        reply = await self._unary(
            "Apps/RegisterFunctions", request, apps_pb2.RegisterFunctionsReply
        )
        return reply.function_ids[0]

    async def update_autoscaler(self, function_id: str, scaling: Scaling) -> None:
        """Change how many containers a function may have."""
        request = translate.autoscaler(function_id, scaling)
        await self._unary("Apps/UpdateAutoscaler", request, apps_pb2.UpdateAutoscalerReply)

    async def find_function(
        self, app_name: str, name: str, of_class: tuple[str, Mapping[str, object]] | None = None
    ) -> str:
        """Return the id of a function of the app whose container this is; `of_class` is what a class's is made of."""
        request = apps_pb2.FindFunctionRequest(app_name=app_name, name=name)
        if of_class is not None:
            request.class_name = of_class[0]
            for each, value in classes.values(of_class[1]).items():
                request.parameters[each].CopyFrom(value)
        reply = await self._unary("Apps/FindFunction", request, apps_pb2.FindFunctionReply)
        return reply.function_id

    async def attach(
        self, app_id: str, output: Output, provide: Callable[[Sequence[str]], None]
    ) -> None:
        """Keep an app alive and hand over its output until it has ended; `provide` is asked to register functions."""
        request = apps_pb2.AttachRequest(app_id=app_id)
        async for events in self._replies("Apps/Attach", request, apps_pb2.AppEvents):
            for line in events.logs:
                request.after_log_seq = max(request.after_log_seq, line.seq)
                output.line(translate.log_line(line))
            if events.wanted_functions:
                provide(events.wanted_functions)
            if events.pools:
                output.progress([translate.pool(pool) for pool in events.pools])

    def ask(self, request: DirectRun, tell: Callable[[Reply], None]) -> Callable[[], None] | None:
        """Send a direct run, from any thread; return how its loop gives it up, or None where it cannot be sent now."""
        link = self._connection.open_link
        number = link.ask("offload.v1.Calls/Run", request.body, tell) if link else None
        if link is None or number is None:
            return None
        return partial(link.forget, number, tell=True)

    async def settle(self, reply: Reply) -> Ended | None:
        """Return how a direct run ended that is no plain success; None where its connection broke before."""
        if isinstance(reply, LinkClosedError):
            return None
        if isinstance(reply, WireError):
            raise from_wire(reply)
        return await self._ended(0, 0, calls_pb2.RunReply.FromString(reply).outcome)

    async def run(
        self,
        call_id: str,
        function_id: str,
        args: bytes,
        options: CallOptions | None,
        *,
        is_repeat: bool = False,
    ) -> Ended:
        """Run one input and return how it ended."""
        if len(args) <= INLINE_PAYLOAD_BYTES:
            payload = common_pb2.Payload(encoding=ENCODING, inline=args)
        else:
            payload = await bodies.send(self._connection, args, ENCODING)
        request = calls_pb2.RunRequest(
            call_id=call_id,
            function_id=function_id,
            args=payload,
            is_repeat=is_repeat,
            options=translate.call_options(options),
        )
        reply = await self._once("Calls/Run", request, calls_pb2.RunReply)
        ended = await self._ended(0, 0, reply.outcome)
        return ended if call_id else ended._replace(call_id=reply.call_id)

    async def submit(self, submission: Submission) -> str:
        """Open a call; return its id once it is on disk."""
        request = calls_pb2.SubmitRequest(
            call_id=submission.call_id,
            function_id=submission.function_id,
            kind=translate.KINDS[submission.kind],
            inputs=await self._inputs(submission.inputs),
            closed=submission.closed,
            attached=submission.attached,
            options=translate.call_options(submission.options),
        )
        reply = await self._once("Calls/Submit", request, calls_pb2.SubmitReply)
        return reply.call_id

    async def add_inputs(
        self, call_id: str, inputs: Sequence[tuple[int, bytes]], *, close: bool
    ) -> None:
        """Add inputs to a map; return once they are on disk."""
        request = calls_pb2.AddInputsRequest(
            call_id=call_id, inputs=await self._inputs(inputs), close=close
        )
        await self._unary("Calls/AddInputs", request, calls_pb2.AddInputsReply)

    async def outcomes(self, call_id: str) -> AsyncGenerator[list[Ended], None]:
        """Yield how a call's inputs ended, in the order they did, until all have."""
        request = calls_pb2.OutcomesRequest(call_id=call_id)
        async for batch in self._replies("Calls/Outcomes", request, calls_pb2.OutcomeBatch):
            ended = [await self._ended(o.seq, o.index, o.outcome) for o in batch.outcomes]
            if ended:
                request.after_seq = ended[-1].seq
                yield ended

    async def items(self, call_id: str) -> AsyncGenerator[list[bytes | IO[bytes] | Ended], None]:
        """Yield the items of a generator call while it runs, and at last how it ended."""
        request = calls_pb2.ItemsRequest(call_id=call_id)
        async for batch in self._replies("Calls/Items", request, calls_pb2.ItemBatch):
            fetched: list[bytes | IO[bytes] | Ended] = []
            for item in batch.items:
                fetched.append(await bodies.fetch(self._connection, item.value))
                request.after_item = item.seq
            if batch.HasField("outcome"):
                ended = await self._ended(0, 0, batch.outcome)
                fetched.append(ended._replace(call_id=call_id))
            yield fetched

    async def describe(self, call_id: str) -> CallStatus:
        """Say what a call is and how far it is."""
        request = calls_pb2.DescribeRequest(call_id=call_id)
        reply = await self._unary("Calls/Describe", request, calls_pb2.CallDescription)
        return translate.call_status(reply)

    async def cancel(self, call_id: str, reason: str) -> None:
        """Cancel what is left of a call."""
        request = calls_pb2.CancelRequest(call_id=call_id, reason=reason)
        await self._unary("Calls/Cancel", request, calls_pb2.CancelReply)

    async def dead_letters(self, app: str, limit: int) -> list[Letter]:
        """List lost inputs of an app (id or name; empty: of all), newest first."""
        request = calls_pb2.ListDeadLettersRequest(app_id=app, limit=limit)
        reply = await self._unary("Calls/ListDeadLetters", request, calls_pb2.ListDeadLettersReply)
        return [translate.letter(letter) for letter in reply.letters]

    async def replay(self, input_id: str) -> str:
        """Submit a lost input again; return the id of its new call, empty where it is no dead letter any more."""
        request = calls_pb2.DeadLettersRequest(input_ids=[input_id])
        reply = await self._unary(
            "Calls/ReplayDeadLetters", request, calls_pb2.ReplayDeadLettersReply
        )
        return reply.replays[0].call_id if reply.replays else ""

    async def drop_letter(self, input_id: str) -> None:
        """Take a lost input off the list."""
        request = calls_pb2.DeadLettersRequest(input_ids=[input_id])
        await self._unary("Calls/DropDeadLetters", request, calls_pb2.DropDeadLettersReply)

    async def count_workers(self) -> int:
        """Return how many workers are online."""
        reply = await self._unary(
            "Cluster/Status", cluster_pb2.StatusRequest(), cluster_pb2.StatusReply
        )
        return sum(worker.state == "online" for worker in reply.workers)

    async def shut_down(self, reason: str) -> None:
        """Ask the server and its workers to end."""
        request = cluster_pb2.ShutDownRequest(workers=True, reason=reason)
        await self._unary("Cluster/ShutDown", request, cluster_pb2.ShutDownReply)

    async def _inputs(self, inputs: Sequence[tuple[int, bytes]]) -> list[calls_pb2.Input]:
        messages = []
        for index, data in inputs:
            if len(data) <= INLINE_PAYLOAD_BYTES:
                payload = common_pb2.Payload(encoding=ENCODING, inline=data)
            else:
                payload = await bodies.send(self._connection, data, ENCODING)
            messages.append(calls_pb2.Input(index=index, args=payload))
        return messages

    async def _ended(self, seq: int, index: int, outcome: common_pb2.Outcome) -> Ended:
        if outcome.state == _SUCCEEDED:
            value = outcome.value
            if value.WhichOneof("body") == "blob":
                return Ended(seq, index, await bodies.fetch(self._connection, value), None)
            return Ended(seq, index, value.inline, None)
        return Ended(seq, index, b"", await self._failure(outcome))

    async def _failure(self, outcome: common_pb2.Outcome) -> Failure:
        message = outcome.failure
        exception = None
        if message.HasField("exception"):
            exception = await bodies.fetch(self._connection, message.exception)
        failure = translate.failure(message, exception)
        # What its last attempt died of says less than that it was given up.
        return failure._replace(kind="LOST") if outcome.state == _LOST else failure
