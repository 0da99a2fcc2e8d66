"""Web endpoints as the schema has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.wire.gen import endpoints_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.sdk.option_types import WebChoice
    from offload.sdk.web_marks import Endpoint


def describe(options: WebChoice) -> Iterator[endpoints_pb2.WebEndpoint]:
    """Yield the message for each endpoint of a function or class."""
    for target, endpoint in options.endpoints:
        message = _endpoint(endpoint)
        message.target = target
        yield message


def _endpoint(endpoint: Endpoint) -> endpoints_pb2.WebEndpoint:
    message = endpoints_pb2.WebEndpoint(
        kind=endpoint.kind,
        methods=endpoint.methods,
        path=endpoint.path,
        label=endpoint.label,
        auth=endpoint.auth,
        port=endpoint.port,
        startup_seconds=endpoint.startup_timeout,
        docs=endpoint.docs,
        max_waiting=endpoint.max_waiting,
    )
    cors = endpoint.cors
    if cors is not None:
        message.cors.origins.extend(cors.origins)
        message.cors.methods.extend(cors.methods)
        message.cors.headers.extend(cors.headers)
        message.cors.with_credentials = cors.with_credentials
        message.cors.max_age_seconds = cors.max_age
    return message
