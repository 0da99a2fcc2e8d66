"""A server for tests of the SDK: real links and messages, functions run right here, and knobs for trouble."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.sdk_cluster import ClusterAnswers

from offload.sdk.blocking import run
from offload.sdk.client import Client, ServerAddress
from offload.sdk.session import use_client
from offload.wire.gen import apps_pb2, blobs_pb2, calls_pb2, common_pb2
from offload.wire.link import LinkServer, ServeOptions, serve
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TOKEN = "test-token"  # noqa: S105  # of this test server alone


@dataclass
class Call:
    """One call with what is known of it."""

    kind: int
    function: object
    inputs: dict[int, bytes] = field(default_factory=dict)
    outcomes: list[calls_pb2.IndexedOutcome] = field(default_factory=list)
    closed: bool = False
    cancelled: str = ""
    attached: bool = False
    options: calls_pb2.CallOptions = field(default_factory=calls_pb2.CallOptions)
    function_id: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FakeServer(ClusterAnswers):
    """Answers like the server, with the functions run in this process when their inputs arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, Call] = {}
        self.keys: dict[tuple[str, str], str] = {}  # (function id, idempotency key) → call id
        self.apps: list[apps_pb2.CreateAppRequest] = []
        self.scalings: list[apps_pb2.UpdateAutoscalerRequest] = []
        self.functions: dict[str, object] = {}
        self.definitions: list[apps_pb2.FunctionDefinition] = []
        self.blobs: dict[str, bytes] = {}
        self.stopped: list[apps_pb2.StopAppRequest] = []
        self.requests: dict[str, int] = defaultdict(int)
        self.batches: list[int] = []  # inputs in each Submit or AddInputs
        self.ended = asyncio.Event()
        self.lines: list[common_pb2.LogLine] = []
        # Knobs.
        self.break_link_at: set[tuple[str, int]] = (
            set()
        )  # (method, nth request): answered, but the answer is lost
        self.answer_backwards = False  # outcomes of a batch come in reverse order
        self.failures: dict[
            int, common_pb2.Failure
        ] = {}  # by index: what becomes of the input instead
        self.lost: set[int] = set()  # indices of inputs whose failure is the last of too many
        self.expired: set[str] = set()  # calls whose results are no longer kept
        self.hold = asyncio.Event()  # inputs run only while it is set
        self.hold.set()
        self.run_asked = threading.Event()  # a Run has come in
        self.link: LinkServer | None = None
        self.url = ""  # as OFFLOAD_SERVER_URL has it

    async def start(self, port: int = 0) -> None:
        methods = {
            "Apps/CreateApp": self.create_app,
            "Apps/RegisterFunctions": self.register,
            "Apps/Attach": self.attach,
            "Apps/StopApp": self.stop_app,
            "Apps/UpdateAutoscaler": self.update_autoscaler,
            "Calls/Run": self.run,
            "Calls/Submit": self.submit,
            "Calls/AddInputs": self.add_inputs,
            "Calls/Outcomes": self.outcomes,
            "Calls/Items": self.items,
            "Calls/Describe": self.describe,
            "Calls/ListCalls": self.list_calls,
            "Calls/Cancel": self.cancel,
            "Blobs/Missing": self.missing,
            "Blobs/Upload": self.upload,
            "Blobs/Download": self.download,
            **self.cluster_methods(),
        }
        options = ServeOptions("127.0.0.1", port, lambda token: token == TOKEN, lambda _: None)
        handlers = {f"offload.v1.{name}": handler for name, handler in methods.items()}
        self.link = await serve(handlers, options)

    async def drop(self) -> None:
        """Break every connection, and listen again on the same port."""
        assert self.link is not None
        port = self.link.port
        await self.link.close()
        await self.start(port)

    async def create_app(self, request, _):
        self.requests["CreateApp"] += 1
        self.apps.append(request)
        return apps_pb2.CreateAppReply(
            app_id=request.app_id, lease_seconds=30, has_worker_on_host=self.has_worker_here
        )

    async def register(self, request, _):
        ids = []
        for definition in request.functions:
            self.definitions.append(definition)
            function_id = f"fu-{len(self.definitions)}"
            self.functions[function_id] = pickle.loads(self.body(definition.code))  # noqa: S301  # our own tests' bytes
            ids.append(function_id)
        return apps_pb2.RegisterFunctionsReply(function_ids=ids)

    async def attach(self, request, _) -> AsyncIterator[apps_pb2.AppEvents]:
        self.ended.clear()
        if self.lines:
            yield apps_pb2.AppEvents(
                logs=[line for line in self.lines if line.seq > request.after_log_seq]
            )
        await self.ended.wait()

    async def missing(self, request, _):
        return blobs_pb2.MissingReply(
            sha256=[name for name in request.sha256 if name not in self.blobs]
        )

    async def stop_app(self, request, _):
        self.stopped.append(request)
        self.ended.set()
        return apps_pb2.StopAppReply()

    async def update_autoscaler(self, request, _):
        if request.function_id not in self.functions:
            raise WireError(Status.NOT_FOUND, f"there is no function {request.function_id}")
        self.scalings.append(request)
        return apps_pb2.UpdateAutoscalerReply()

    async def run(self, request, _):
        await self._count("Run")
        call_id, call = self._open(request, calls_pb2.CALL_KIND_SINGLE)
        self.run_asked.set()
        await self.hold.wait()
        if not call.outcomes:
            call.inputs[0] = self.body(request.args)
            self._run(call, 0, call.inputs[0])
        await self._lose("Run")
        return calls_pb2.RunReply(outcome=call.outcomes[0].outcome, call_id=call_id)

    async def submit(self, request, _):
        await self._count("Submit")
        call_id, call = self._open(request, request.kind)
        call.attached = request.attached
        self._add(call, request.inputs, closed=request.closed)
        await self._lose("Submit")
        return calls_pb2.SubmitReply(call_id=call_id)

    async def add_inputs(self, request, _):
        await self._count("AddInputs")
        self._require(request.call_id)
        self._add(self.calls[request.call_id], request.inputs, closed=request.close)
        await self._lose("AddInputs")
        return calls_pb2.AddInputsReply()

    async def outcomes(self, request, _) -> AsyncIterator[calls_pb2.OutcomeBatch]:
        await self._count("Outcomes")
        self._require(request.call_id)
        call, sent = self.calls[request.call_id], request.after_seq
        while True:
            await self.hold.wait()
            fresh = call.outcomes[sent:]
            if fresh:
                yield calls_pb2.OutcomeBatch(outcomes=fresh)
                sent = fresh[-1].seq
                await self._lose("Outcomes")
            if call.cancelled or (call.closed and sent == len(call.inputs)):
                return
            call.changed.clear()
            await call.changed.wait()

    async def items(self, request, _) -> AsyncIterator[calls_pb2.ItemBatch]:
        await self._count("Items")
        self._require(request.call_id)
        call = self.calls[request.call_id]
        args, kwargs = pickle.loads(call.inputs[0])  # noqa: S301  # our own tests' bytes
        outcome = common_pb2.Outcome(state=common_pb2.INPUT_STATE_SUCCEEDED)
        try:
            for seq, value in enumerate(call.function(*args, **kwargs), 1):
                if seq > request.after_item:
                    item = calls_pb2.Item(seq=seq, value=self.payload(pickle.dumps(value)))
                    yield calls_pb2.ItemBatch(items=[item])
                    await self._lose("Items")
        except ValueError as error:
            outcome = self._failed(error)
        yield calls_pb2.ItemBatch(outcome=outcome)

    async def describe(self, request, _):
        self._require(request.call_id)
        return self._described(request.call_id)

    async def list_calls(self, request, _):
        newest_first = [self._described(call_id) for call_id in reversed(self.calls)]
        return calls_pb2.ListCallsReply(calls=newest_first[: request.limit or 100])

    async def cancel(self, request, _):
        self._require(request.call_id)
        call = self.calls[request.call_id]
        call.cancelled = request.reason
        call.changed.set()
        return calls_pb2.CancelReply(cancelled_inputs=len(call.inputs) - len(call.outcomes))

    async def upload(self, requests, _):
        data = b"".join([chunk.data async for chunk in requests])
        sha256 = f"{len(self.blobs):064x}"
        self.blobs[sha256] = data
        return blobs_pb2.UploadReply(blob=common_pb2.BlobRef(sha256=sha256, size_bytes=len(data)))

    async def download(self, request, _) -> AsyncIterator[blobs_pb2.DownloadChunk]:
        data = self.blobs[request.sha256]
        for start in range(request.offset, len(data), 1 << 18):
            yield blobs_pb2.DownloadChunk(data=data[start : start + (1 << 18)])

    def body(self, payload: common_pb2.Payload) -> bytes:
        return self.blobs[payload.blob.sha256] if payload.HasField("blob") else payload.inline

    def payload(self, data: bytes) -> common_pb2.Payload:
        if len(data) <= 65536:
            return common_pb2.Payload(encoding="pickle", inline=data)
        sha256 = f"{len(self.blobs):064x}"
        self.blobs[sha256] = data
        return common_pb2.Payload(encoding="pickle", blob=common_pb2.BlobRef(sha256=sha256))

    def _require(self, call_id: str) -> None:
        if call_id in self.expired:
            text = f"Call {call_id} ended 8 days ago, and its results were kept until yesterday."
            raise WireError(Status.OUT_OF_RANGE, text)
        if call_id not in self.calls:
            raise WireError(Status.NOT_FOUND, f"there is no call {call_id}")

    def _described(self, call_id: str) -> calls_pb2.CallDescription:
        call = self.calls[call_id]
        return calls_pb2.CallDescription(
            call_id=call_id, function_name="f", app_name="t", kind=call.kind,
            state="succeeded" if call.outcomes else "pending",
            options=call.options, waiting_reason=self.waiting_reasons.get(call_id, ""),
        )  # fmt: skip

    def _open(self, request, kind: int) -> tuple[str, Call]:
        """Return the call of the request, found by its key or its id, or a new one."""
        for other in request.options.after:
            self._require(other)
        call_id, key = request.call_id, request.options.idempotency_key
        if key:
            assert not call_id, "with a key the server derives the id"
            fresh = f"fc-key{len(self.keys)}"
            call_id = self.keys.setdefault((request.function_id, key), fresh)
        function = self.functions[request.function_id]
        fresh_call = Call(kind, function, options=request.options, function_id=request.function_id)
        return call_id, self.calls.setdefault(call_id, fresh_call)

    def _blocked_by(self, call: Call) -> str:
        if call.options.run_anyway:
            return ""
        succeeded = common_pb2.INPUT_STATE_SUCCEEDED
        for other in call.options.after:
            if any(each.outcome.state != succeeded for each in self.calls[other].outcomes):
                return other
        return ""

    def _add(self, call: Call, inputs, *, closed: bool) -> None:
        self.batches.append(len(inputs))
        fresh = [each for each in inputs if each.index not in call.inputs]
        for each in reversed(fresh) if self.answer_backwards else fresh:
            call.inputs[each.index] = self.body(each.args)
            if call.kind != calls_pb2.CALL_KIND_GENERATOR:
                self._run(call, each.index, call.inputs[each.index])
        call.closed = call.closed or closed
        call.changed.set()

    def _run(self, call: Call, index: int, data: bytes) -> None:
        args, kwargs = pickle.loads(data)  # noqa: S301  # our own tests' bytes
        outcome = common_pb2.Outcome(state=common_pb2.INPUT_STATE_SUCCEEDED)
        if other := self._blocked_by(call):
            outcome.state = common_pb2.INPUT_STATE_CANCELLED
            outcome.failure.kind = common_pb2.FAILURE_KIND_DEPENDENCY
            outcome.failure.reason = f"call {other}, which it comes after, failed"
        elif index in self.failures:
            is_lost = index in self.lost
            outcome.state = (
                common_pb2.INPUT_STATE_LOST if is_lost else common_pb2.INPUT_STATE_FAILED
            )
            outcome.failure.CopyFrom(self.failures[index])
        else:
            try:
                outcome.value.CopyFrom(self.payload(pickle.dumps(call.function(*args, **kwargs))))
            except ValueError as error:
                outcome = self._failed(error)
        seq = len(call.outcomes) + 1
        call.outcomes.append(calls_pb2.IndexedOutcome(seq=seq, index=index, outcome=outcome))

    def _failed(self, error: ValueError) -> common_pb2.Outcome:
        failure = common_pb2.Failure(
            kind=common_pb2.FAILURE_KIND_EXCEPTION,
            type_name="builtins.ValueError",
            message=str(error),
            frames=[
                common_pb2.TracebackFrame(
                    file="/only/in/the/container.py",
                    line=7,
                    function="divide",
                    text="raise ValueError(x)",
                )
            ],
            exception=common_pb2.Payload(encoding="pickle", inline=pickle.dumps(error)),
        )
        return common_pb2.Outcome(state=common_pb2.INPUT_STATE_FAILED, failure=failure)

    async def _count(self, method: str) -> None:
        self.requests[method] += 1

    async def _lose(self, method: str) -> None:
        if (method, self.requests[method]) in self.break_link_at:
            self.break_link_at.discard((method, self.requests[method]))
            dropping = asyncio.get_running_loop().create_task(self.drop())
            await asyncio.shield(dropping)


@contextlib.contextmanager
def fake_server() -> Iterator[FakeServer]:
    """Run a fake server beside the client's connection and let this process's calls go there."""

    async def begin() -> FakeServer:
        server = FakeServer()
        await server.start()
        return server

    server = run(begin())
    assert server.link is not None
    address = ServerAddress(f"ws://127.0.0.1:{server.link.port}/link", TOKEN)
    server.url = address.url.replace("ws", "http", 1).removesuffix("/link")
    client = Client(lambda: address, give_up_after_seconds=2.0)
    before = use_client(client)
    try:
        yield server
    finally:
        use_client(before)
        run(client.close())
        assert server.link is not None
        run(server.link.close())
