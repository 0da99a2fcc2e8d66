"""`offload worker`: a node as a process."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offload.cli.exits import CliError

if TYPE_CHECKING:
    from offload.worker.config import WorkerConfig

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The command's options as they were given; None where they were not."""

    server_url: str | None
    token_file: Path | None
    cpu: float | None
    memory: int | None
    gpus: str | None
    label: tuple[str, ...]
    runtime: str | None
    name: str | None
    data_dir: Path | None
    give_up_after_seconds: float | None
    drain_seconds: float | None
    cancel_grace: float | None
    tls_ca: Path | None


@click.command()
@click.option("--server-url", metavar="URL", help="http://HOST:PORT or https://HOST:PORT.")
@click.option("--token-file", type=_FILE, help="The server's token; default: DATA_DIR/token.")
@click.option("--cpu", type=float, help="Cores to give; default: all.")
@click.option("--memory", type=int, help="MiB to give; default: 90 % of what is available.")
@click.option("--gpus", metavar="GPUS", help="none, 2:H100 or 0:H100,1:A100; default: all found.")
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="Can be repeated.")
@click.option(
    "--runtime", type=click.Choice(["bubblewrap", "process"]), help="process: no sandbox."
)
@click.option("--name", help="What people call it; default: the host's name.")
@click.option("--data-dir", type=_FILE, help="Where blobs are kept and spooled.")
@click.option(
    "--give-up-after-seconds", type=float, help="End when the server is gone so long; 0: never."
)
@click.option("--drain-seconds", type=float, help="For inputs in hand after SIGTERM; default: 30.")
@click.option(
    "--cancel-grace", type=float, help="Seconds for a cancelled input to clean up; default: 5."
)
@click.option("--tls-ca", type=_FILE, help="PEM authority that signed the server's certificate.")
@click.option("--json", "as_json", is_flag=True, help="Print errors as JSON.")
def command(*, as_json: bool, **given: object) -> int:  # noqa: ARG001  # read where errors are printed
    """Be a worker: dial the server and run containers for it, until SIGTERM or Ctrl-C.

    SIGTERM lets inputs in hand finish and gives the others back. OFFLOAD_SERVER_URL, OFFLOAD_TOKEN, OFFLOAD_TOKEN_FILE,
    OFFLOAD_DATA_DIR, OFFLOAD_GPUS, OFFLOAD_LABELS, OFFLOAD_DRAIN_SECONDS and OFFLOAD_CANCEL_GRACE_SECONDS stand in for
    options that are not given.
    """
    from offload.worker.config import ConfigError
    from offload.worker.main import run

    try:
        config = _config(_Given(**given))  # type: ignore[arg-type]  # click made them of these types
    except ConfigError as error:
        raise CliError(str(error)) from None
    return run(
        config, lambda: print(f"offload worker {config.name} is ready", file=sys.stderr, flush=True)
    )


def _config(given: _Given) -> WorkerConfig:
    from offload.worker.config import WorkerConfig, read_gpus, read_labels, read_token

    state_dir = given.data_dir or _default_data_dir()
    name = given.name
    config = WorkerConfig.from_environment(state_dir)
    token_file = given.token_file
    if token_file is None and not config.token and (state_dir / "token").exists():
        token_file = state_dir / "token"
    chosen: dict[str, object] = {
        "server_url": given.server_url,
        "token": read_token(token_file) if token_file is not None else None,
        "cpu_milli": None if given.cpu is None else round(given.cpu * 1000),
        "memory_mib": given.memory,
        "gpus": None if given.gpus is None else read_gpus(given.gpus, "--gpus"),
        "labels": read_labels(given.label, "--label") or None,
        "runtime": given.runtime,
        "name": name,
        # Beside the server's own state when both share a directory, and all of it hidden from containers.
        "data_dir": state_dir / "workers" / (name or config.name),
        "hidden_dir": state_dir,
        "give_up_after_seconds": given.give_up_after_seconds,
        "drain_seconds": given.drain_seconds,
        "cancel_grace_seconds": given.cancel_grace,
        "tls_ca_file": given.tls_ca,
    }
    kept = {key: value for key, value in chosen.items() if value is not None}
    return dataclasses.replace(config, **kept)  # type: ignore[arg-type]  # each has its field's type


def _default_data_dir() -> Path:
    from offload.sdk.config import read_config

    return read_config().data_dir
