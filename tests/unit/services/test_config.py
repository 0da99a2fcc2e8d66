"""Which configurations are refused, and with which words."""

from pathlib import Path

import pytest

from offload.control.config import ConfigError, ServerConfig, ensure_token, prepare_data_dir
from offload.control.core.policy import WorkspaceLimits


def test_the_defaults_are_fine() -> None:
    ServerConfig().check()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "lab.example.org"])  # noqa: S104
def test_another_address_without_tls_is_refused_with_what_to_do(host: str) -> None:
    with pytest.raises(ConfigError, match=r"--tls-cert FILE --tls-key FILE"):
        ServerConfig(host=host).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_needs_no_tls(host: str) -> None:
    ServerConfig(host=host).check()


def test_another_address_is_fine_with_tls_or_on_explicit_wish(tmp_path: Path) -> None:
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    cert.touch()
    key.touch()

    ServerConfig(host="10.0.0.1", tls_cert=cert, tls_key=key).check()
    ServerConfig(host="10.0.0.1", insecure_no_tls=True).check()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ServerConfig(http_port=70000), "--http-port 70000"),
        (ServerConfig(http_port=5, grpc_port=5), "cannot share port 5"),
        (ServerConfig(log_level="loud"), "debug, info"),
        (ServerConfig(tls_cert=Path("x")), "both --tls-cert and --tls-key"),
        (ServerConfig(tls_cert=Path("/no/x"), tls_key=Path("/no/y")), "no TLS file /no/x"),
        (ServerConfig(idle_exit_seconds=-1), "--idle-exit-seconds"),
        (ServerConfig(retention_days=0), "--retention-days"),
        (ServerConfig(worker_lost_seconds=0), "--worker-lost-seconds"),
        (ServerConfig(placement="anywhere"), "neither spread nor pack"),
        (ServerConfig(workspaces=("lab",)), "NAME=WEIGHT"),
        (ServerConfig(workspaces=("lab=0",)), "NAME=WEIGHT"),
        (ServerConfig(workspaces=("lab=1:-2",)), "NAME=WEIGHT"),
        (ServerConfig(token="ä"), "printable ASCII"),  # noqa: S106 - no password at all
    ],
)
def test_what_cannot_be_meant_is_named(config: ServerConfig, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config.check()


def test_workspaces_get_the_weight_and_the_bound_they_are_given() -> None:
    policy = ServerConfig(workspaces=("lab=2", "guests=0.5:10"), placement="pack").policy()

    assert policy.packs
    assert policy.workspaces["lab"] == WorkspaceLimits(2.0, 0)
    assert policy.workspaces["guests"] == WorkspaceLimits(0.5, 10)


def test_the_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    prepare_data_dir(directory)

    token = ensure_token(directory)

    assert ensure_token(directory) == token
    assert len(token) >= 32
    assert (directory / "token").stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700


def test_the_environment_fills_every_field() -> None:
    environ = {
        "OFFLOAD_HOST": "127.0.0.2",
        "OFFLOAD_HTTP_PORT": "1",
        "OFFLOAD_GRPC_PORT": "2",
        "OFFLOAD_DATA_DIR": "/data",
        "OFFLOAD_TOKEN": "t",
        "OFFLOAD_TLS_CERT": "/c",
        "OFFLOAD_TLS_KEY": "/k",
        "OFFLOAD_INSECURE_NO_TLS": "1",
        "OFFLOAD_IDLE_EXIT_SECONDS": "3.5",
        "OFFLOAD_RETENTION_DAYS": "2",
        "OFFLOAD_OBJECT_RETENTION_DAYS": "4",
        "OFFLOAD_WORKER_LOST_SECONDS": "30",
        "OFFLOAD_PLACEMENT": "pack",
        "OFFLOAD_WORKSPACES": "lab=2, guests=1:5",
        "OFFLOAD_LOG_LEVEL": "debug",
        "OFFLOAD_SECRETS_KEY_FILE": "/keys",
    }

    config = ServerConfig.from_env(environ)

    assert config == ServerConfig(
        "127.0.0.2", 1, 2, Path("/data"), "t", Path("/c"), Path("/k"), True, 3.5, 2.0, 4.0, 30.0, "pack",
        ("lab=2", "guests=1:5"), "debug", Path("/keys"),
    )  # fmt: skip


def test_a_variable_that_is_no_number_is_named() -> None:
    with pytest.raises(ConfigError, match="OFFLOAD_HTTP_PORT='x'"):
        ServerConfig.from_env({"OFFLOAD_HTTP_PORT": "x"})
