"""gRPC, from a client made of the .proto files alone."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_tools import protoc
from tests.support.control_server import Server, running

from offload.wire.link import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTO = Path(__file__).parents[2] / "proto"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("state")) as started:
        yield started


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stubs compiled from the schema, in a package of their own so that they do not meet ours."""
    made = tmp_path_factory.mktemp("client")
    files = [str(file.relative_to(PROTO)) for file in sorted(PROTO.glob("offload/v1/*.proto"))]
    arguments = [
        "protoc", f"-I{PROTO}", f"--python_out={made}", f"--grpc_python_out={made}", *files,
    ]  # fmt: skip
    assert protoc.main(arguments) == 0
    # A package without this file would lose against our own of the same name.
    (made / "offload" / "__init__.py").touch()
    return made


def _ask(client: Path, server: Server, token: str) -> subprocess.CompletedProcess[str]:
    script = f"""
import grpc
from offload.v1 import cluster_pb2, cluster_pb2_grpc, calls_pb2, calls_pb2_grpc
with grpc.insecure_channel("127.0.0.1:{server.grpc_port}") as channel:
    metadata = [("authorization", "Bearer {token}")] if "{token}" else []
    try:
        reply = cluster_pb2_grpc.ClusterStub(channel).Status(
            cluster_pb2.StatusRequest(), metadata=metadata, timeout=60)
        print("version", reply.version)
        list(calls_pb2_grpc.CallsStub(channel).Outcomes(
            calls_pb2.OutcomesRequest(call_id="fc-none"), metadata=metadata, timeout=60))
    except grpc.RpcError as error:
        print(error.code().name, error.details())
"""
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": str(client), "PYTHONSAFEPATH": "1"},
    )


def test_a_client_made_from_the_schema_alone_is_served(client: Path, server: Server) -> None:
    said = _ask(client, server, server.token).stdout.splitlines()

    assert said[0] == "version 0.1.0"
    assert said[1].startswith("NOT_FOUND There is no call 'fc-none'")


def test_a_missing_or_wrong_token_is_refused(client: Path, server: Server) -> None:
    for token in ("", "wrong"):
        assert _ask(client, server, token).stdout.startswith("UNAUTHENTICATED This server wants")


def test_health_needs_no_token_and_says_serving(server: Server) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="offload.v1.Calls"), timeout=60
        )

    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services_to_whoever_has_the_token(server: Server) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        metadata = [("authorization", f"Bearer {server.token}")]
        replies = list(stub.ServerReflectionInfo(iter([request]), metadata=metadata, timeout=60))
        with pytest.raises(grpc.RpcError) as refusal:
            list(stub.ServerReflectionInfo(iter([request]), timeout=60))

    names = {service.name for service in replies[0].list_services_response.service}
    assert {
        "offload.v1.Calls",
        "offload.v1.Apps",
        "offload.v1.Blobs",
        "grpc.health.v1.Health",
    } <= names
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 1000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
    ],
)
def test_malformed_frames_do_not_hurt(client: Path, server: Server, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=60) as stranger:
        stranger.sendall(garbage)
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(4096):
            pass

    assert _ask(client, server, server.token).stdout.startswith("version")


def test_tls_serves_both_carriers(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    with running(tmp_path / "state", tls_cert=cert, tls_key=key) as server:
        credentials = grpc.ssl_channel_credentials(cert.read_bytes())
        with grpc.secure_channel(f"localhost:{server.grpc_port}", credentials) as channel:
            health = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=60
            )

        async def dial() -> bool:
            context = ssl.create_default_context(cafile=str(cert))
            link = await connect(
                f"wss://localhost:{server.http_port}/link", server.token, tls=context
            )
            is_open = not link.is_closed
            await link.close()
            return is_open

        assert asyncio.run(dial())

    assert health.status == health_pb2.HealthCheckResponse.SERVING
