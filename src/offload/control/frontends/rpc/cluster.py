"""The service `Cluster`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.frontends.rpc.apps import pool_message
from offload.wire.gen import cluster_pb2, workers_pb2

if TYPE_CHECKING:
    from offload.control.core.dispatch import ContainerView, InputView, WorkerView, WorkspaceView
    from offload.control.core.model import Capacity
    from offload.control.services.assembly import Services
    from offload.wire.rpc import RequestContext


class ClusterHandlers:
    """Translates for the services."""

    def __init__(self, services: Services) -> None:
        self._cluster = services.cluster
        self._inspection = services.inspection
        self._workers = services.workers

    async def status(
        self, request: cluster_pb2.StatusRequest, _context: RequestContext
    ) -> cluster_pb2.StatusReply:
        """See `Cluster.Status`."""
        facts = self._cluster.facts
        dispatcher = self._cluster.dispatcher
        drift = self._cluster.drift_seconds
        return cluster_pb2.StatusReply(
            version=facts.version,
            started_at=facts.started_at,
            data_dir=facts.data_dir,
            workers=[_worker(view, drift) for view in dispatcher.workers()],
            containers=[_container(view, drift) for view in dispatcher.containers()],
            pending=[
                self._pending(view, drift)
                for view in dispatcher.pending(min(request.pending_limit, 5000))
            ],
            pending_total=dispatcher.pending_total,
            running_total=dispatcher.running_total,
            blocked_total=dispatcher.blocked_total,
            pools=map(pool_message, dispatcher.pools()),
            workspaces=map(_workspace, dispatcher.workspaces()),
        )

    async def shut_down(
        self, request: cluster_pb2.ShutDownRequest, _context: RequestContext
    ) -> cluster_pb2.ShutDownReply:
        """See `Cluster.ShutDown`."""
        self._cluster.shut_down(request.workers, request.reason or "asked to")
        return cluster_pb2.ShutDownReply()

    async def drain_worker(
        self, request: cluster_pb2.DrainWorkerRequest, _context: RequestContext
    ) -> cluster_pb2.DrainWorkerReply:
        """See `Cluster.DrainWorker`."""
        worker_id = self._workers.drain(request.worker, "drained by an operator")
        return cluster_pb2.DrainWorkerReply(worker_id=worker_id)

    def _pending(self, view: InputView, drift: float) -> cluster_pb2.PendingInput:
        function = self._inspection.function_of(view.call_id)
        return cluster_pb2.PendingInput(
            input_id=view.input_id,
            call_id=view.call_id,
            function_name=function.name if function is not None else "",
            app_name=function.app_name if function is not None else "",
            since=view.since + drift,
            reason=view.reason,
        )


def _capacity(capacity: Capacity) -> workers_pb2.Capacity:
    return workers_pb2.Capacity(
        cpu_milli=capacity.cpu_milli,
        memory_mib=capacity.memory_mib,
        gpus=[workers_pb2.Gpu(index=gpu.index, kind=gpu.kind) for gpu in capacity.gpus],
    )


def _worker(view: WorkerView, drift: float) -> cluster_pb2.WorkerStatus:
    worker = view.worker
    return cluster_pb2.WorkerStatus(
        worker_id=worker.worker_id,
        name=worker.name,
        state=view.state,
        capacity=_capacity(worker.capacity),
        used=_capacity(view.used),
        labels=worker.labels,
        runtimes=worker.runtimes,
        connected_at=view.since + drift,
        version=worker.version,
        reason=view.reason,
        notes=worker.notes,
    )


def _workspace(view: WorkspaceView) -> cluster_pb2.WorkspaceStatus:
    return cluster_pb2.WorkspaceStatus(
        name=view.name,
        weight=view.weight,
        max_containers=view.max_containers,
        containers=view.containers,
        share=view.share,
        pending=view.pending,
    )


def _container(view: ContainerView, drift: float) -> cluster_pb2.ContainerStatus:
    return cluster_pb2.ContainerStatus(
        container_id=view.container_id,
        worker_id=view.worker_id,
        function_id=view.function.function_id,
        function_name=view.function.name,
        app_name=view.function.app_name,
        state=view.state,
        started_at=view.started_at + drift,
        inputs_in_hand=view.inputs_in_hand,
    )
