"""Every method of the schema with its handler, for whichever carrier calls it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, cast

from offload.control.core.errors import DomainError
from offload.control.frontends.rpc.apps import AppsHandlers
from offload.control.frontends.rpc.blobs import BlobsHandlers
from offload.control.frontends.rpc.calls import CallsHandlers
from offload.control.frontends.rpc.cluster import ClusterHandlers
from offload.control.frontends.rpc.containers import ContainersHandlers
from offload.control.frontends.rpc.deployments import DeploymentsHandlers
from offload.control.frontends.rpc.dicts import DictsHandlers
from offload.control.frontends.rpc.errors import to_wire
from offload.control.frontends.rpc.objects import ObjectsHandlers
from offload.control.frontends.rpc.platform import PlatformHandlers
from offload.control.frontends.rpc.queues import QueuesHandlers
from offload.control.frontends.rpc.schedules import SchedulesHandlers
from offload.control.frontends.rpc.secrets import SecretsHandlers
from offload.control.frontends.rpc.volumes import VolumesHandlers
from offload.control.frontends.rpc.web import WebHandlers
from offload.control.frontends.rpc.workers import WorkersHandlers
from offload.control.frontends.web.routes import Routes
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
    apps = services.apps
    routes = Routes(apps.serving, lambda: apps.changes)
    services_of = {
        "Apps": AppsHandlers(services),
        "Blobs": BlobsHandlers(services),
        "Calls": CallsHandlers(services),
        "Cluster": ClusterHandlers(services),
        "Containers": ContainersHandlers(services),
        "Deployments": DeploymentsHandlers(services, routes),
        "Dicts": DictsHandlers(services),
        "Objects": ObjectsHandlers(services),
        "Queues": QueuesHandlers(services),
        "Schedules": SchedulesHandlers(services),
        "Volumes": VolumesHandlers(services),
        "Secrets": SecretsHandlers(services),
        "Web": WebHandlers(services, routes),
        "Workers": WorkersHandlers(services),
    }
    table: dict[str, Handler] = {}
    for name in METHODS:
        service, _, method = name.removeprefix("offload.v1.").partition("/")
        if service in services_of:
            table[name] = getattr(services_of[service], _snake_case(method))
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


def _snake_case(method: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower()


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
