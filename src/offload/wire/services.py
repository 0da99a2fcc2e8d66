"""Every method of `proto/offload/v1`, read from the schema: what the carriers and their clients share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf import message_factory

from offload.wire.gen import (
    apps_pb2,
    blobs_pb2,
    calls_pb2,
    cluster_pb2,
    containers_pb2,
    deployments_pb2,
    dicts_pb2,
    objects_pb2,
    platform_pb2,
    queues_pb2,
    schedules_pb2,
    secrets_pb2,
    volumes_pb2,
    web_pb2,
    workers_pb2,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Method:
    """One remote procedure: its full name ("offload.v1.Calls/Run") and the shape of both directions."""

    name: str
    request: type[Message]
    reply: type[Message]
    client_streams: bool
    server_streams: bool


_MODULES = (
    apps_pb2,
    blobs_pb2,
    calls_pb2,
    cluster_pb2,
    containers_pb2,
    deployments_pb2,
    dicts_pb2,
    objects_pb2,
    platform_pb2,
    queues_pb2,
    schedules_pb2,
    volumes_pb2,
    secrets_pb2,
    web_pb2,
    workers_pb2,
)


def _read_schema() -> dict[str, Method]:
    methods = {}
    for module in _MODULES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                name = f"{service.full_name}/{method.name}"
                methods[name] = Method(
                    name,
                    message_factory.GetMessageClass(method.input_type),
                    message_factory.GetMessageClass(method.output_type),
                    method.client_streaming,
                    method.server_streaming,
                )
    return methods


METHODS: dict[str, Method] = _read_schema()
