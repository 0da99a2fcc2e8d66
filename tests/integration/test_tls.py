"""TLS from end to end, with an authority of one's own: command line, worker, gRPC, and who has it wrong."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.acceptance import EXAMPLES, User
from tests.support.control_server import Server, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Lab:
    """A server with a certificate of the lab's own authority."""

    server: Server
    authority: Path

    def settings(self, **others: str) -> dict[str, str]:
        return {
            "OFFLOAD_SERVER_URL": f"https://localhost:{self.server.http_port}",
            "OFFLOAD_TOKEN_FILE": str(self.server.data_dir / "token"),
            "OFFLOAD_TLS_CA": str(self.authority),
            **others,
        }


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def _certify(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1") -> None:
    """Make an authority (ca.pem) and a certificate for `names` that it signed (cert.pem, key.pem)."""
    _openssl(
        folder, "req", "-x509", *_EC, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=Lab authority", "-addext", "basicConstraints=critical,CA:TRUE",
    )  # fmt: skip
    _openssl(folder, "req", *_EC, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=lab")
    (folder / "names").write_text(f"subjectAltName={names}\n")
    _openssl(
        folder, "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "cert.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("tls")
    _certify(folder)
    options = {"tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}
    with running(folder / "state", **options) as server:
        yield Lab(server, folder / "ca.pem")


@pytest.fixture
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    user = User(tmp_path_factory.mktemp("user"))
    yield user
    user.end()


def test_a_program_runs_through_tls_on_two_workers_that_joined_by_hand(
    lab: Lab, user: User
) -> None:
    user.extra |= lab.settings()
    workers = [
        user.start(
            "worker", "--name", name, "--data-dir", str(user.home / name), "--cpu", "1",
            "--server-url", user.extra["OFFLOAD_SERVER_URL"], "--tls-ca", str(lab.authority),
        )
        for name in ("one", "two")
    ]  # fmt: skip
    try:
        for worker in workers:
            assert worker.stderr is not None
            assert "is ready" in worker.stderr.readline()

        names = {worker["name"] for worker in user.status()["workers"]}
        done = user.run("run", "-q", str(EXAMPLES / "hello.py"))
    finally:
        for worker in workers:
            worker.terminate()
            worker.communicate(timeout=60)

    assert names == {"one", "two"}
    assert done.returncode == 0, done.stderr
    assert "square.remote: 25" in done.stdout


@pytest.mark.parametrize(
    ("setting", "value", "advice"),
    [
        ("OFFLOAD_TLS_CA", "", "name the authority that signed its certificate (OFFLOAD_TLS_CA"),
        ("OFFLOAD_TLS_CA", "/there/is/none.pem", "/there/is/none.pem (OFFLOAD_TLS_CA"),
        ("OFFLOAD_SERVER_URL", "http", "its address begins with https://"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    lab: Lab, user: User, setting: str, value: str, advice: str
) -> None:
    url = lab.settings()["OFFLOAD_SERVER_URL"]
    user.extra |= lab.settings()
    user.extra[setting] = url.replace("https", "http") if value == "http" else value

    done = user.run("status")

    assert done.returncode == 3
    assert advice in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("names", "authority", "advice"),
    [
        ("DNS:localhost", None, "name the authority that signed its certificate"),
        ("DNS:elsewhere.example", "ca.pem", "dial it by a name that is in its certificate"),
    ],
)
def test_a_worker_ends_where_the_certificate_cannot_be_verified(
    user: User, tmp_path: Path, names: str, authority: str | None, advice: str
) -> None:
    _certify(tmp_path, names)
    options = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    with running(tmp_path / "state", **options) as server:
        done = user.run(
            "worker", "--server-url", f"https://localhost:{server.http_port}",
            "--token-file", str(server.data_dir / "token"), "--data-dir", str(user.home / "one"),
            *(("--tls-ca", str(tmp_path / authority)) if authority else ()),
        )  # fmt: skip

    assert done.returncode == 6
    assert advice in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_grpc_is_served_to_whoever_knows_the_authority(lab: Lab) -> None:
    credentials = grpc.ssl_channel_credentials(lab.authority.read_bytes())

    with grpc.secure_channel(f"localhost:{lab.server.grpc_port}", credentials) as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=60
        )

    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_web_requests_come_in_at_the_port_of_the_link(lab: Lab) -> None:
    trusted = ssl.create_default_context(cafile=lab.authority)

    with httpx.Client(verify=trusted, timeout=60) as client:
        answers = [
            client.get(f"https://localhost:{lab.server.http_port}/{path}")
            for path in ("live", "web/no/app")
        ]

    assert [answer.status_code for answer in answers] == [200, 404]


def test_a_stranger_without_the_authority_is_one_line_in_the_servers_log(
    lab: Lab, user: User, tmp_path: Path
) -> None:
    options = {name: lab.authority.with_name(f"{name[4:]}.pem") for name in ("tls_cert", "tls_key")}
    with running(tmp_path / "state", **options) as server:
        user.extra |= lab.settings(
            OFFLOAD_SERVER_URL=f"https://localhost:{server.http_port}", OFFLOAD_TLS_CA=""
        )

        user.run("status")
        code, log = server.end()

    assert code == 0
    assert "connection_failed" in log
    assert "Traceback" not in log
