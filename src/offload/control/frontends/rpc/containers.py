"""The service `Containers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from offload.control.core.model import DEFAULT_WORKSPACE
from offload.control.frontends.rpc.errors import invalid
from offload.control.frontends.rpc.values import by_size, log_message
from offload.control.services.consoles import Wanted
from offload.control.services.containers import Whose
from offload.wire.gen import calls_pb2, containers_pb2
from offload.wire.status import LinkClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offload.control.core.dispatch import ContainerView
    from offload.control.services.assembly import Services
    from offload.wire.rpc import RequestContext

# More than what either side sends in one message.
_MOST_BYTES = 64 * 1024


class ContainersHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._containers = services.consoles.containers
        self._consoles = services.consoles

    async def list_containers(
        self, request: containers_pb2.ListContainersRequest, _context: RequestContext
    ) -> containers_pb2.ListContainersReply:
        """See `Containers.ListContainers`."""
        drift = self._containers.drift_seconds
        found = self._containers.listed(_whose(request.scope), request.app)
        return containers_pb2.ListContainersReply(
            containers=[_summary(view, drift) for view in found]
        )

    async def stop_container(
        self, request: containers_pb2.StopContainerRequest, _context: RequestContext
    ) -> containers_pb2.StopContainerReply:
        """See `Containers.StopContainer`."""
        self._containers.stop(request.container_id, _whose(request.scope), now=request.now)
        return containers_pb2.StopContainerReply(state="stopping")

    async def container_logs(
        self, request: containers_pb2.ContainerLogsRequest, _context: RequestContext
    ) -> AsyncIterator[calls_pb2.LogBatch]:
        """See `Containers.ContainerLogs`."""
        batches = self._containers.logs(
            request.container_id,
            _whose(request.scope),
            request.app,
            request.after_seq,
            follow=request.follow,
        )
        async for rows in batches:
            for part in by_size(rows, lambda row: len(row.text) * 4 + 200):
                yield calls_pb2.LogBatch(lines=[log_message(row) for row in part])

    async def exec(
        self, requests: AsyncIterator[containers_pb2.ConsoleInput], _context: RequestContext
    ) -> AsyncIterator[containers_pb2.ConsoleOutput]:
        """See `Containers.Exec`."""
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("start"):
            raise invalid("The first message says what to start, and in which container.")
        start = first.start
        inputs = _inputs(first, requests)
        wanted = Wanted(start.container_id, start.ends_call)
        async for said in self._consoles.run(wanted, _whose(start.scope), inputs):
            output = cast("containers_pb2.ConsoleAnswer", said).output
            yield output
            if output.WhichOneof("said") in {"exit", "refused"}:
                return
        yield containers_pb2.ConsoleOutput(
            refused="its worker is gone, or the connection to it broke"
        )

    async def console(
        self, requests: AsyncIterator[containers_pb2.ConsoleAnswer], context: RequestContext
    ) -> AsyncIterator[containers_pb2.ConsoleInput]:
        """See `Containers.Console`."""
        first = await anext(aiter(requests), None)
        session_id = first.session_id if first is not None else ""
        async for said in self._consoles.join(session_id, context.peer, _outputs(requests)):
            yield cast("containers_pb2.ConsoleInput", said)


async def _inputs(
    first: containers_pb2.ConsoleInput, rest: AsyncIterator[containers_pb2.ConsoleInput]
) -> AsyncIterator[containers_pb2.ConsoleInput]:
    yield first
    try:
        async for said in rest:
            if said.HasField("start") or len(said.input) > _MOST_BYTES:
                raise invalid("A program is started once, and told at most 32 KiB at a time.")
            yield said
    except LinkClosedError:
        return


async def _outputs(
    answers: AsyncIterator[containers_pb2.ConsoleAnswer],
) -> AsyncIterator[containers_pb2.ConsoleAnswer]:
    try:
        async for answer in answers:
            if answer.ByteSize() > _MOST_BYTES:
                raise invalid("A program says at most 32 KiB at a time.")
            yield answer
    except LinkClosedError:
        return


def _whose(scope: containers_pb2.ContainerScope) -> Whose:
    return Whose(scope.workspace or DEFAULT_WORKSPACE, scope.environment)


def _summary(view: ContainerView, drift: float) -> containers_pb2.ContainerSummary:
    function = view.function
    return containers_pb2.ContainerSummary(
        container_id=view.container_id,
        function_id=function.function_id,
        function_name=function.name,
        app_id=function.app_id,
        app_name=function.app_name,
        environment=function.environment,
        worker_id=view.worker_id,
        worker_name=view.worker_name,
        state=view.state,
        started_at=view.started_at + drift,
        inputs_in_hand=view.inputs_in_hand,
    )
