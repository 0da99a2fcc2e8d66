"""The client's settings: the environment, then the config file, then defaults. Only this module reads either."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from offload.errors import InvalidError
from offload.wire import guest

_NOWHERE = Path("/nonexistent")
_SETTINGS = ("server_url", "token", "tls_ca", "workspace", "environment")  # of the config file

_SETTINGS = ("server_url", "token", "tls_ca", "workspace", "environment")  # of the config file


@dataclass(frozen=True)
class ClientConfig:
    """Where the server is and how patient the client is."""

    server_url: str | None  # None: the local stack
    token: str | None  # of `server_url`
    tls_ca: Path | None  # certificate authority of the server's certificate; None: the system's
    data_dir: Path  # state of the local stack
    workspace: str = ""  # whose share of the machines apps use; empty: the server's default
    environment: str = (
        ""  # whose named objects they use ("dev", "prod"); empty: the server's default
    )
    give_up_after_seconds: float = (
        60.0  # OFFLOAD_GIVE_UP_AFTER: how long an unreachable server is tried again
    )
    idle_exit_seconds: float = (
        1800.0  # OFFLOAD_IDLE_EXIT: a local stack without work ends itself; 0: never
    )


def read_config() -> ClientConfig:
    """Read the settings as they are now. Raises `InvalidError` naming the file or variable that is wrong."""
    environ = os.environ  # noqa: TID251  # this is the client's config module
    if guest.find_platform is not None:
        return ClientConfig(
            None, None, None, _NOWHERE
        )  # a container has its worker, and no settings
    url, token = environ.get("OFFLOAD_SERVER_URL"), environ.get("OFFLOAD_TOKEN")
    token_file = environ.get("OFFLOAD_TOKEN_FILE")
    ca, workspace = environ.get("OFFLOAD_TLS_CA"), environ.get("OFFLOAD_WORKSPACE")
    environment = environ.get("OFFLOAD_ENVIRONMENT")
    if token is None and token_file:
        token = _read_token(Path(token_file))
    if not url and "OFFLOAD_DATA_DIR" not in environ:
        settings = _read_file(_config_file())
        url = settings.get("server_url")
        token = token or settings.get("token")
        ca = ca or settings.get("tls_ca")
        workspace = workspace or settings.get("workspace")
        environment = environment or settings.get("environment")
    return ClientConfig(
        server_url=url or None,
        token=token,
        tls_ca=Path(ca) if ca else None,
        data_dir=_data_dir(environ.get("OFFLOAD_DATA_DIR")),
        workspace=workspace or "",
        environment=environment or "",
        give_up_after_seconds=_seconds("OFFLOAD_GIVE_UP_AFTER", environ, 60.0),
        idle_exit_seconds=_seconds("OFFLOAD_IDLE_EXIT", environ, 1800.0),
    )


def _data_dir(given: str | None) -> Path:
    if given:
        return Path(given).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("offload"))


def _config_file() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("offload")) / "config.toml"


def _read_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        settings = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidError(f"cannot read {path}: {error}") from error
    unknown = sorted(set(settings) - set(_SETTINGS))
    if unknown:
        known = f"{', '.join(_SETTINGS[:-1])} and {_SETTINGS[-1]}"
        raise InvalidError(f"{path} knows {known}, not {', '.join(unknown)}")
    return {name: str(value) for name, value in settings.items()}


def _read_token(path: Path) -> str:
    try:
        return path.expanduser().read_text().strip()
    except OSError as error:
        raise InvalidError(f"cannot read OFFLOAD_TOKEN_FILE: {error}") from error


def _seconds(name: str, environ: os._Environ[str], default: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise InvalidError(f"{name}={text!r} is not a number of seconds") from None
