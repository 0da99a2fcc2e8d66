"""`offload status`: who is there, what runs, and what waits for what."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from offload.cli import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.wire.gen import cluster_pb2, workers_pb2


@click.command()
@click.option(
    "--pending", "pending_limit", default=20, show_default=True, help="Pending inputs to list."
)
@show.json_option
def command(*, pending_limit: int, as_json: bool) -> None:
    """Show the server, its workers and containers, and pending inputs, each with its reason."""
    from offload.cli.ask import ask
    from offload.wire.gen import cluster_pb2

    request = cluster_pb2.StatusRequest(pending_limit=pending_limit)
    status = ask("Cluster/Status", request, cluster_pb2.StatusReply)
    if as_json:
        show.print_json(show.as_document(status))
    else:
        _print(status, show.wall_clock())


def _print(status: cluster_pb2.StatusReply, now: float) -> None:
    blocked = f", {status.blocked_total} blocked by other calls" if status.blocked_total else ""
    print(
        f"Server {status.version}, started {show.ago(status.started_at, now)}, state in {status.data_dir}: "
        f"{status.running_total} inputs running, {status.pending_total} pending{blocked}."
    )
    print_workers(status.workers)
    if len(status.workspaces) > 1:
        show.print_table(
            "Workspaces",
            ("workspace", "weight", "share of the cluster", "containers", "pending"),
            (_workspace(workspace) for workspace in status.workspaces),
        )
    names = {worker.worker_id: worker.name or worker.worker_id for worker in status.workers}
    show.print_table(
        "Containers",
        ("container", "function", "app", "worker", "state", "inputs", "started"),
        (
            (
                c.container_id,
                c.function_name,
                c.app_name,
                names.get(c.worker_id, c.worker_id),
                c.state,
                str(c.inputs_in_hand),
                show.ago(c.started_at, now),
            )
            for c in status.containers
        ),
    )
    show.print_table(
        f"Pending inputs (oldest {len(status.pending)} of {status.pending_total})",
        ("input", "function", "app", "since", "waits because"),
        (
            (p.input_id, p.function_name, p.app_name, show.ago(p.since, now), p.reason)
            for p in status.pending
        ),
    )


def print_workers(workers: Sequence[cluster_pb2.WorkerStatus]) -> None:
    """Print what each worker is, has and does."""
    if not workers:
        print("No worker: start one with `offload worker`.")
    show.print_table(
        "Workers",
        (
            "worker",
            "name",
            "state",
            "cpu used",
            "MiB used",
            "gpus used",
            "labels",
            "runtimes",
            "because",
        ),
        (_worker(worker) for worker in workers),
    )
    for worker in workers:
        for note in worker.notes:
            print(f"Warning: on {worker.name}, {note}")


def _worker(worker: cluster_pb2.WorkerStatus) -> tuple[str, ...]:
    used, whole = worker.used, worker.capacity
    return (
        worker.worker_id,
        worker.name,
        worker.state,
        f"{_cores(used)} of {_cores(whole)}",
        f"{used.memory_mib} of {whole.memory_mib}",
        _gpus(used, whole) or "-",
        " ".join(f"{key}={value}" for key, value in sorted(worker.labels.items())) or "-",
        " ".join(worker.runtimes),
        worker.reason or "-",
    )


def _gpus(used: workers_pb2.Capacity, whole: workers_pb2.Capacity) -> str:
    taken = Counter(gpu.kind for gpu in used.gpus)
    kinds = Counter(gpu.kind for gpu in whole.gpus)
    return ", ".join(f"{taken[kind]} of {count} {kind}" for kind, count in kinds.items())


def _workspace(workspace: cluster_pb2.WorkspaceStatus) -> tuple[str, ...]:
    limit = f" of {workspace.max_containers}" if workspace.max_containers else ""
    return (
        workspace.name,
        f"{workspace.weight:g}",
        f"{workspace.share:.0%}",
        f"{workspace.containers}{limit}",
        str(workspace.pending),
    )


def _cores(capacity: workers_pb2.Capacity) -> str:
    return f"{capacity.cpu_milli / 1000:g}"
