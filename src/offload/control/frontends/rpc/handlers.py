"""Every method of the schema with its handler, for whichever carrier calls it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from offload.control.core.errors import DomainError
from offload.control.frontends.rpc.apps import AppsHandlers
from offload.control.frontends.rpc.blobs import BlobsHandlers
from offload.control.frontends.rpc.calls import CallsHandlers
from offload.control.frontends.rpc.cluster import ClusterHandlers
from offload.control.frontends.rpc.deployments import DeploymentsHandlers
from offload.control.frontends.rpc.errors import to_wire
from offload.control.frontends.rpc.objects import ObjectsHandlers
from offload.control.frontends.rpc.platform import PlatformHandlers
from offload.control.frontends.rpc.schedules import SchedulesHandlers
from offload.control.frontends.rpc.workers import WorkersHandlers
from offload.wire.rpc import Promise
from offload.wire.services import METHODS
from offload.wire.status import Status, WireError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator, Awaitable

    from google.protobuf.message import Message

    from offload.control.services.assembly import Services
    from offload.wire.rpc import Handler, RequestContext

_log = logging.getLogger(__name__)


def handlers(services: Services) -> dict[str, Handler]:
    """Return the handlers by full method name, "offload.v1.Calls/Run"."""
    apps = AppsHandlers(services)
    calls = CallsHandlers(services)
    blobs = BlobsHandlers(services)
    objects = ObjectsHandlers(services)
    workers = WorkersHandlers(services)
    cluster = ClusterHandlers(services)
    table: dict[str, Handler] = {
        "offload.v1.Apps/CreateApp": apps.create_app,
        "offload.v1.Apps/RegisterFunctions": apps.register_functions,
        "offload.v1.Apps/Attach": apps.attach,
        "offload.v1.Apps/StopApp": apps.stop_app,
        "offload.v1.Apps/FindFunction": apps.find_function,
        "offload.v1.Apps/ListApps": apps.list_apps,
        "offload.v1.Apps/UpdateAutoscaler": apps.update_autoscaler,
        "offload.v1.Calls/Run": calls.run,
        "offload.v1.Calls/Submit": calls.submit,
        "offload.v1.Calls/SubmitGraph": calls.submit_graph,
        "offload.v1.Calls/AddInputs": calls.add_inputs,
        "offload.v1.Calls/Outcomes": calls.outcomes,
        "offload.v1.Calls/Items": calls.items,
        "offload.v1.Calls/Describe": calls.describe,
        "offload.v1.Calls/ListCalls": calls.list_calls,
        "offload.v1.Calls/Cancel": calls.cancel,
        "offload.v1.Calls/Logs": calls.logs,
        "offload.v1.Calls/ListDeadLetters": calls.list_dead_letters,
        "offload.v1.Calls/ReplayDeadLetters": calls.replay_dead_letters,
        "offload.v1.Calls/DropDeadLetters": calls.drop_dead_letters,
        "offload.v1.Blobs/Upload": blobs.upload,
        "offload.v1.Blobs/Download": blobs.download,
        "offload.v1.Blobs/Missing": blobs.missing,
        "offload.v1.Objects/Open": objects.open,
        "offload.v1.Objects/List": objects.list,
        "offload.v1.Objects/Rename": objects.rename,
        "offload.v1.Objects/Delete": objects.delete,
        "offload.v1.Objects/Hold": objects.hold,
        "offload.v1.Workers/Session": workers.session,
        "offload.v1.Cluster/Status": cluster.status,
        "offload.v1.Cluster/ShutDown": cluster.shut_down,
        "offload.v1.Cluster/DrainWorker": cluster.drain_worker,
        **_of_deployed_apps(services),
    }
    platform = PlatformHandlers(services, dict(table))
    table["offload.v1.Platform/Ask"] = platform.ask
    table["offload.v1.Platform/Follow"] = platform.follow
    requests = services.telemetry.requests
    return {
        name: (
            _guard_stream(name, handler, requests)
            if METHODS[name].server_streams
            else _guard_unary(name, handler, requests)
        )
        for name, handler in table.items()
    }


def _of_deployed_apps(services: Services) -> dict[str, Handler]:
    deployments = DeploymentsHandlers(services)
    schedules = SchedulesHandlers(services)
    return {
        "offload.v1.Deployments/Deploy": deployments.deploy,
        "offload.v1.Deployments/Resolve": deployments.resolve,
        "offload.v1.Deployments/ListDeployments": deployments.list_deployments,
        "offload.v1.Deployments/DescribeDeployment": deployments.describe_deployment,
        "offload.v1.Deployments/Rollback": deployments.rollback,
        "offload.v1.Deployments/StopDeployment": deployments.stop_deployment,
        "offload.v1.Deployments/SetTags": deployments.set_tags,
        "offload.v1.Schedules/ListSchedules": schedules.list_schedules,
        "offload.v1.Schedules/PauseSchedule": schedules.pause_schedule,
        "offload.v1.Schedules/ResumeSchedule": schedules.resume_schedule,
        "offload.v1.Schedules/RunSchedule": schedules.run_schedule,
    }


def _guard_unary(name: str, handler: Handler, requests: Counter[str]) -> Handler:
    async def finish(answer: Awaitable[Message]) -> Message:
        try:
            return await answer
        except WireError:
            raise
        except Exception as error:
            raise _as_wire(name, error) from error

    def guarded(request: object, context: RequestContext) -> Awaitable[Message]:
        requests[name] += 1
        try:
            answer = cast("Awaitable[Message]", handler(request, context))
        except WireError:
            raise
        except Exception as error:
            raise _as_wire(name, error) from error
        return answer if isinstance(answer, Promise) else finish(answer)

    return guarded


def _guard_stream(name: str, handler: Handler, requests: Counter[str]) -> Handler:
    async def guarded(request: object, context: RequestContext) -> AsyncIterator[Message]:
        requests[name] += 1
        replies = cast("AsyncIterator[Message]", handler(request, context))
        try:
            async for reply in replies:
                yield reply
        except WireError:
            raise
        except Exception as error:
            raise _as_wire(name, error) from error
        finally:
            # Whatever the handler holds is released now, not when the garbage collector comes.
            close = getattr(replies, "aclose", None)
            if close is not None:
                await close()

    return guarded


def _as_wire(name: str, error: Exception) -> WireError:
    if isinstance(error, DomainError):
        return to_wire(error)
    _log.error("handler_failed", exc_info=error, extra={"fields": {"method": name}})
    return WireError(
        Status.INTERNAL, f"The server failed at {name}: its log has the details. Please report it."
    )
