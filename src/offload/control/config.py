"""The server's configuration: the only place that reads its environment."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from offload.control.core.policy import Policy, WorkspaceLimits
from offload.wire.limits import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_LEVELS = ("debug", "info", "warning", "error")
PLACEMENTS = ("spread", "pack")
_DOMAIN = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


class ConfigError(Exception):
    """The configuration cannot be meant; the message says what to change."""


def _workspace(text: str) -> tuple[str, WorkspaceLimits]:
    name, _, entitlement = text.partition("=")
    weight, _, containers = entitlement.partition(":")
    try:
        limits = WorkspaceLimits(float(weight), int(containers or 0))
    except ValueError:
        limits = WorkspaceLimits(0.0)
    if not name or not 0.001 <= limits.weight <= 1000 or limits.max_containers < 0:
        raise ConfigError(
            f"Workspace {text!r} cannot be read: write NAME=WEIGHT, with a weight of 0.001 to 1000, or "
            "NAME=WEIGHT:MAX_CONTAINERS."
        )
    return name, limits


def default_data_dir() -> Path:
    """Return where a user's own server keeps its state."""
    return Path(platformdirs.user_data_dir("offload"))


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server process. `checked` and `prepare` are called by `run` before anything is opened."""

    host: str = "127.0.0.1"  # address to listen on; beyond this machine only with TLS
    http_port: int = (
        DEFAULT_HTTP_PORT  # link, web endpoints, /live, /ready, /metrics; 0: any free port
    )
    grpc_port: int = DEFAULT_GRPC_PORT  # 0: any free port
    data_dir: Path | None = None  # database, blobs, token; None: the user's data directory
    token: str = ""  # empty: the one in data_dir/token, made on first start
    tls_cert: Path | None = None  # PEM certificate chain
    tls_key: Path | None = None  # its PEM private key
    insecure_no_tls: bool = False  # listen beyond this machine in clear text all the same
    idle_exit_seconds: float = 0.0  # end, workers too, after this long without work; 0: never
    retention_days: float = 7.0  # how long what a call came to is kept after its end
    object_retention_days: float = 7.0  # how long an entry of a dict is kept that nobody uses
    worker_lost_seconds: float = 10.0  # how long a disconnected worker keeps what it runs
    placement: str = "spread"  # "spread": where most cpu is free; "pack": where least is
    workspaces: tuple[
        str, ...
    ] = ()  # "name=weight" or "name=weight:max_containers"; others weigh 1, without a bound
    log_level: str = "info"  # "debug", "info", "warning" or "error"
    secrets_key_file: Path | None = None  # None: secrets.key in data_dir; made on first need
    web_domain: str = ""  # endpoints have hosts below it, beside those below localhost

    @property
    def state_dir(self) -> Path:
        """Where the state is."""
        return self.data_dir if self.data_dir is not None else default_data_dir()

    @property
    def web_auth(self) -> str:
        """Who may ask endpoints that say nothing about it: whoever can reach a server that only this machine reaches."""
        return "public" if _is_loopback(self.host) else "token"

    @property
    def secrets_key(self) -> Path:
        """Where the keys are that open secrets."""
        return self.secrets_key_file or self.state_dir / "secrets.key"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> ServerConfig:
        """Read the variables OFFLOAD_HOST to OFFLOAD_WEB_DOMAIN, one per field; raises `ConfigError`.

        OFFLOAD_TOKEN_FILE names a file that holds the token.
        """
        given = os.environ if environ is None else environ  # noqa: TID251 - the one reader

        def path(name: str) -> Path | None:
            return Path(given[name]) if given.get(name) else None

        token = given.get("OFFLOAD_TOKEN", "")
        token_file = path("OFFLOAD_TOKEN_FILE")
        if not token and token_file is not None:
            token = _read_token(token_file)
        return cls(
            host=given.get("OFFLOAD_HOST") or "127.0.0.1",
            http_port=int(_number(given, "OFFLOAD_HTTP_PORT", DEFAULT_HTTP_PORT)),
            grpc_port=int(_number(given, "OFFLOAD_GRPC_PORT", DEFAULT_GRPC_PORT)),
            data_dir=path("OFFLOAD_DATA_DIR"),
            token=token,
            tls_cert=path("OFFLOAD_TLS_CERT"),
            tls_key=path("OFFLOAD_TLS_KEY"),
            insecure_no_tls=given.get("OFFLOAD_INSECURE_NO_TLS", "") in ("1", "true", "yes"),
            idle_exit_seconds=_number(given, "OFFLOAD_IDLE_EXIT_SECONDS", 0.0),
            retention_days=_number(given, "OFFLOAD_RETENTION_DAYS", 7.0),
            object_retention_days=_number(given, "OFFLOAD_OBJECT_RETENTION_DAYS", 7.0),
            worker_lost_seconds=_number(given, "OFFLOAD_WORKER_LOST_SECONDS", 10.0),
            placement=given.get("OFFLOAD_PLACEMENT") or "spread",
            workspaces=tuple(given.get("OFFLOAD_WORKSPACES", "").replace(",", " ").split()),
            log_level=given.get("OFFLOAD_LOG_LEVEL") or "info",
            secrets_key_file=path("OFFLOAD_SECRETS_KEY_FILE"),
            web_domain=given.get("OFFLOAD_WEB_DOMAIN", ""),
        )

    def check(self) -> None:
        """Raise `ConfigError` for what cannot be served as it is."""
        for name, port in (("--http-port", self.http_port), ("--grpc-port", self.grpc_port)):
            if not 0 <= port <= 65535:
                raise ConfigError(f"{name} {port} is no port: choose 1 to 65535, or 0 for any.")
        if self.http_port and self.http_port == self.grpc_port:
            raise ConfigError(f"HTTP and gRPC cannot share port {self.http_port}: choose two.")
        if self.log_level not in LOG_LEVELS:
            raise ConfigError(f"Log level {self.log_level!r} is none of {', '.join(LOG_LEVELS)}.")
        if not self.idle_exit_seconds >= 0:
            raise ConfigError("--idle-exit-seconds must be 0 (never) or more.")
        if self.token and (not self.token.isascii() or not self.token.isprintable()):
            raise ConfigError("The token must be printable ASCII: remove it to have one made.")
        if self.placement not in PLACEMENTS:
            raise ConfigError(f"--placement {self.placement!r} is neither spread nor pack.")
        if not min(self.retention_days, self.object_retention_days) > 0:
            raise ConfigError("--retention-days and --object-retention-days must be more than 0.")
        if not 1 <= self.worker_lost_seconds <= 3600:
            raise ConfigError("--worker-lost-seconds must be 1 to 3600.")
        self.policy()
        self._check_web()
        self._check_tls()

    def policy(self) -> Policy:
        """Return what the dispatcher decides by; raises `ConfigError` for a workspace that cannot be read."""
        return Policy(
            worker_lost_seconds=self.worker_lost_seconds,
            packs=self.placement == "pack",
            workspaces=dict(map(_workspace, self.workspaces)),
        )

    def _check_web(self) -> None:
        if self.web_domain and not _DOMAIN.fullmatch(self.web_domain):
            raise ConfigError(f"--web-domain {self.web_domain!r} is no domain: apps.example.org.")

    def _check_tls(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("TLS needs both --tls-cert and --tls-key.")
        for file in (self.tls_cert, self.tls_key):
            if file is not None and not file.is_file():
                raise ConfigError(f"There is no TLS file {file}: give --tls-cert and --tls-key.")
        if self.tls_cert is None and not self.insecure_no_tls and not _is_loopback(self.host):
            raise ConfigError(
                f"Listening on {self.host} without TLS would show the token and every payload to the network: "
                "give --tls-cert FILE --tls-key FILE, or listen on 127.0.0.1 and let a TLS proxy or an SSH tunnel "
                "lead there (--insecure-no-tls allows it on a network you trust)."
            )


def prepare_data_dir(directory: Path) -> None:
    """Make the data directory for its owner alone; raises `ConfigError`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"The data directory {directory} cannot be used ({error.strerror}): choose another with --data-dir."
        ) from error


def ensure_token(directory: Path) -> str:
    """Return the data directory's token; make it, readable by its owner alone, on the first start."""
    file = directory / "token"
    if file.exists():
        return _read_token(file)
    draft = directory / f"token.{os.getpid()}"
    try:
        _write_to_disk(draft, secrets.token_urlsafe(32) + "\n")
        # Of servers that start at once, the first makes the token of all.
        with suppress(FileExistsError):
            file.hardlink_to(draft)
        draft.unlink()
    except OSError as error:
        raise ConfigError(f"The token file {file} cannot be written: {error.strerror}.") from error
    return _read_token(file)


def _write_to_disk(file: Path, text: str) -> None:
    # After a power cut the file would else be there without its content. Its name is on disk with the database's first
    # commit, which waits for the directory.
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)


def _read_token(file: Path) -> str:
    try:
        token = file.read_text().strip()
    except OSError as error:
        raise ConfigError(f"The token file {file} cannot be read: {error.strerror}.") from error
    if not token:
        raise ConfigError(f"The token file {file} is empty: remove it to have a new token made.")
    return token


def _number(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise ConfigError(f"{name}={text!r} is not a number.") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
