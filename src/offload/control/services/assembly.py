"""All services of one server, rebuilt from its store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from offload.control.core.dispatch import Dispatcher, Policy
from offload.control.core.events import AppStopped, CallRestored, FunctionRegistered
from offload.control.core.objects import Scope
from offload.control.services.abandoned import Abandoned
from offload.control.services.access import Access
from offload.control.services.apps import LEASE_SECONDS, Apps
from offload.control.services.archive import Archive
from offload.control.services.blobs import BlobStreams
from offload.control.services.calls import Calls
from offload.control.services.classes import Classes
from offload.control.services.cluster import Cluster, ServerFacts
from offload.control.services.consoles import Consoles
from offload.control.services.containers import Containers
from offload.control.services.copies import Copies
from offload.control.services.deployments import Deployments, Touched
from offload.control.services.dicts import Dicts
from offload.control.services.exchanges import Exchanges
from offload.control.services.following import Following
from offload.control.services.grouping import Grouping
from offload.control.services.inspection import Inspection
from offload.control.services.journal import Journal
from offload.control.services.kernel import Kernel
from offload.control.services.letters import Letters
from offload.control.services.logs import Logs
from offload.control.services.objects import Objects
from offload.control.services.queues import MAX_ITEMS, Queues
from offload.control.services.reading import Reading
from offload.control.services.retention import Retention
from offload.control.services.schedules import Schedules
from offload.control.services.secrets import Secrets
from offload.control.services.versions import Versions
from offload.control.services.volumes import Volumes
from offload.control.services.web_keys import WebKeys
from offload.control.services.workers import Workers

if TYPE_CHECKING:
    from offload.control.ports.blobs import Blobs
    from offload.control.ports.clock import Clock
    from offload.control.ports.definitions import Definitions
    from offload.control.ports.objects import Answer, Operation
    from offload.control.ports.records import Snapshot
    from offload.control.ports.sealed import Keyring
    from offload.control.ports.store import Store
    from offload.control.telemetry import Telemetry


RETENTION_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What the services stand on."""

    store: Store
    blobs: Blobs
    clock: Clock
    telemetry: Telemetry
    keyring: Keyring
    definitions: Definitions
    incarnation: str  # different at every start
    data_dir: str = ""
    policy: Policy = field(default_factory=Policy)
    lease_seconds: float = LEASE_SECONDS
    retention_seconds: float = RETENTION_SECONDS
    object_seconds: float = RETENTION_SECONDS  # entries of dicts that nobody used for so long go
    queue_items: int = MAX_ITEMS  # of one partition


@dataclass(frozen=True, slots=True)
class Services:
    """What the frontends call."""

    access: Access
    apps: Apps
    abandoned: Abandoned
    calls: Calls
    classes: Classes
    consoles: Consoles
    deployments: Deployments
    schedules: Schedules
    following: Following
    letters: Letters
    inspection: Inspection
    dicts: Dicts
    objects: Objects
    queues: Queues
    secrets: Secrets
    object_writing: Grouping[Operation, Answer]
    logs: Logs
    workers: Workers
    blobs: BlobStreams
    cluster: Cluster
    telemetry: Telemetry
    kernel: Kernel
    reading: Reading
    retention: Retention
    volumes: Volumes
    exchanges: Exchanges
    web_keys: WebKeys

    async def close(self) -> int:
        """Stop everything and flush the journal; return how many records could not be written."""
        await self.retention.close()
        await self.schedules.close()
        self.consoles.close()
        self.abandoned.close()
        self.cluster.close()
        self.apps.close()
        self.workers.close()
        await self.objects.close()
        await self.object_writing.close()
        self.kernel.close()
        unwritten = await self.kernel.journal.close()
        self.blobs.close()
        self.volumes.close()
        self.reading.close()
        return unwritten


async def start(outside: Outside) -> Services:
    """Read the store and build the services on it; raises `StoreError` when it cannot be read."""
    snapshot = await asyncio.to_thread(outside.store.snapshot)
    reading = Reading(outside.store)
    kernel = _kernel(outside, snapshot, reading)
    archive = Archive(kernel, reading, outside.clock, outside.retention_seconds)
    logs = Logs(kernel, reading, archive, snapshot.last_log_seq)
    kernel.on_call_end = logs.end_call
    versions = Versions(snapshot.deployments)
    apps = Apps(kernel, reading, logs, archive, versions, outside.lease_seconds)
    abandoned = Abandoned(kernel, versions, outside.lease_seconds)
    schedules = Schedules(kernel, archive, versions, snapshot.schedules)
    workers = Workers(kernel, logs)
    cluster = Cluster(kernel, apps, workers, ServerFacts(outside.clock.now(), outside.data_dir))
    object_writing = Grouping(outside.store.objects.apply)
    objects = Objects(reading, object_writing, apps, outside.clock, outside.lease_seconds)
    streams = BlobStreams(outside.blobs, Copies(kernel.sessions))
    kept = (outside.retention_seconds, outside.object_seconds)
    retention = Retention(outside.store, outside.blobs, outside.clock, *kept)
    cluster.is_kept = lambda: schedules.is_waiting
    _restore(snapshot, outside.store, kernel, (apps, versions, abandoned))
    objects.restore(await reading.get(outside.store.objects.anonymous))
    secrets = Secrets(reading, object_writing, objects, outside.keyring, outside.clock)
    await secrets.finish_rotation()
    classes = Classes(kernel, archive, apps, versions, outside.definitions)
    touched = Touched(apps, versions, schedules, classes, secrets)
    retention.also = classes.forget_unused
    for each in (workers, retention, schedules):
        each.start()
    outside.telemetry.read_load = cluster.load
    return Services(
        access=Access(kernel, archive, objects, versions),
        apps=apps,
        abandoned=abandoned,
        calls=Calls(kernel, archive, apps, versions, abandoned),
        classes=classes,
        consoles=Consoles(kernel, Containers(kernel, reading, logs)),
        deployments=Deployments(kernel, reading, touched),
        schedules=schedules,
        following=Following(kernel, reading, archive),
        letters=Letters(kernel, reading, archive, apps),
        inspection=Inspection(kernel, reading, archive),
        logs=logs,
        dicts=Dicts(reading, object_writing, objects, outside.clock, kept[1]),
        objects=objects,
        queues=Queues(reading, object_writing, objects, outside.clock, outside.queue_items),
        secrets=secrets,
        object_writing=object_writing,
        workers=workers,
        blobs=streams,
        cluster=cluster,
        telemetry=outside.telemetry,
        kernel=kernel,
        reading=reading,
        retention=retention,
        volumes=Volumes(outside.store, objects, streams, outside.clock),
        exchanges=Exchanges(kernel.dispatcher),
        web_keys=WebKeys(kernel, snapshot.web_keys),
    )


def _kernel(outside: Outside, snapshot: Snapshot, reading: Reading) -> Kernel:
    clock = outside.clock
    dispatcher = Dispatcher(outside.policy, outside.incarnation, clock.steady(), snapshot.workers)
    journal = Journal(outside.store, outside.telemetry.observe_commit)
    return Kernel(dispatcher, journal, reading, clock, outside.telemetry)


def _restore(
    snapshot: Snapshot, store: Store, kernel: Kernel, adopting: tuple[Apps, Versions, Abandoned]
) -> None:
    apps, versions, abandoned = adopting
    for function in snapshot.functions:
        kernel.apply(FunctionRegistered(function))
    for call in store.open_calls():
        _restore_call(call, kernel)
        if call.call.attached:
            abandoned.expect(call.call)
    for app in snapshot.apps:
        held = versions.of_app(app.app_id)
        if held is not None and held[0].serving == held[1].number:
            apps.serve(app.app_id, app.name, Scope(app.workspace, app.environment))
        elif held is not None:
            apps.retire(app.app_id, cancel=False, reason="another version took over")
        elif app.stopped_at:
            # What was spawned from it still runs; its containers are to end with the last of that.
            kernel.apply(AppStopped(app.app_id, cancel=False, reason="its app was stopped"))
        else:
            apps.adopt(app.app_id, app.name, Scope(app.workspace, app.environment))


def _restore_call(restored: CallRestored, kernel: Kernel) -> None:
    live = kernel.calls.open(restored.call, restored.closed)
    for run in restored.known:
        live.indices.add(run.start, run.stop)
    kernel.apply(restored)
    kernel.calls.leave_resting(restored.call.call_id)
