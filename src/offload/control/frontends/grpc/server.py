"""A gRPC server built from the schema alone: the same handlers, with health and reflection beside them."""

from __future__ import annotations

import errno
import hmac
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import grpc
import grpc.aio
from grpc_health.v1 import (  # type: ignore[import-untyped]
    health,
    health_pb2,
    health_pb2_grpc,
)
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from offload.wire.limits import MAX_MESSAGE_BYTES
from offload.wire.rpc import Handler, RequestContext
from offload.wire.services import METHODS, Method
from offload.wire.status import WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from google.protobuf.message import Message

    Context = grpc.aio.ServicerContext[Message, Message]

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_STOP_GRACE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class GrpcOptions:
    """Where to listen and whom to let in."""

    host: str
    port: int  # 0: any free one
    token: str
    certificate: tuple[bytes, bytes] | None  # PEM chain and key; None: no TLS


class GrpcServer:
    """Listens until closed."""

    def __init__(
        self, server: grpc.aio.Server, port: int, servicer: health.aio.HealthServicer
    ) -> None:
        self._server = server
        self._health = servicer
        self.port = port

    async def close(self) -> None:
        """Say that the server ends, stop listening, and end what is under way. Idempotent."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_STOP_GRACE_SECONDS)


async def listen(handlers: Mapping[str, Handler], options: GrpcOptions) -> GrpcServer:
    """Serve the handlers. Raises OSError where the port cannot be had."""
    server = grpc.aio.server(
        interceptors=(_TokenCheck(options.token),),
        options=(
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # Otherwise a second server on the same port would silently share its connections.
            ("grpc.so_reuseport", 0),
        ),
    )
    services: dict[str, dict[str, grpc.RpcMethodHandler[Message, Message]]] = defaultdict(dict)
    for name, handler in handlers.items():
        service, _, method = name.partition("/")
        services[service][method] = _method_handler(METHODS[name], handler)
    for service, methods in services.items():
        generic = grpc.method_handlers_generic_handler(service, methods)
        server.add_generic_rpc_handlers((generic,))
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for service in ("", *services):
        await servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection(
        (*services, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    port = _bind(server, options)
    await server.start()
    return GrpcServer(server, port, servicer)


def _bind(server: grpc.aio.Server, options: GrpcOptions) -> int:
    host = f"[{options.host}]" if ":" in options.host else options.host
    address = f"{host}:{options.port}"
    try:
        if options.certificate is None:
            port = server.add_insecure_port(address)
        else:
            chain, key = options.certificate
            credentials = grpc.ssl_server_credentials([(key, chain)])
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(errno.EADDRINUSE, str(error)) from error
    if not port:
        raise OSError(errno.EADDRINUSE, f"cannot listen on {address}")
    return port


class _TokenCheck(grpc.aio.ServerInterceptor):
    """Lets a request pass with the server's token; health checks pass without."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[_In, _Out] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[_In, _Out] | None:
        """See `grpc.aio.ServerInterceptor`."""
        if handler_call_details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return await continuation(handler_call_details)
        for key, value in handler_call_details.invocation_metadata or ():
            if key == "authorization":
                given = value if isinstance(value, bytes) else value.encode()
                if hmac.compare_digest(given, self._expected):
                    return await continuation(handler_call_details)
        refuse: object = grpc.unary_unary_rpc_method_handler(_refuse)
        return cast("grpc.RpcMethodHandler[_In, _Out]", refuse)


async def _refuse(_request: bytes, context: Context) -> bytes:
    await context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        "This server wants its token in the metadata `authorization: Bearer …`: "
        "it is in the file `token` of the server's data directory.",
    )
    raise AssertionError("abort returned")


def _method_handler(method: Method, handler: Handler) -> grpc.RpcMethodHandler[Message, Message]:
    async def unary(request: object, context: Context) -> Message:
        try:
            answer = handler(request, RequestContext(context.peer(), "grpc"))
            return await cast("Awaitable[Message]", answer)
        except WireError as error:
            await context.abort(_CODES[int(error.status)], error.message)
            raise

    async def stream(request: object, context: Context) -> AsyncIterator[Message]:
        try:
            answer = handler(request, RequestContext(context.peer(), "grpc"))
            async for reply in cast("AsyncIterator[Message]", answer):
                yield reply
        except WireError as error:
            await context.abort(_CODES[int(error.status)], error.message)

    make, behavior = {
        (False, False): (grpc.unary_unary_rpc_method_handler, unary),
        (False, True): (grpc.unary_stream_rpc_method_handler, stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, unary),
        (True, True): (grpc.stream_stream_rpc_method_handler, stream),
    }[method.client_streams, method.server_streams]
    return make(
        behavior,
        request_deserializer=method.request.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
