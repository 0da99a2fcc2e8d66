"""`offload server`: the control plane as a process."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from offload.cli.exits import CliError

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on; not loopback: needs TLS.")
@click.option(
    "--http-port", type=int, help="Link, web endpoints, /live, /ready, /metrics; 0: any free port."
)
@click.option("--grpc-port", type=int, help="gRPC; 0: any free port.")
@click.option("--data-dir", type=_FILE, help="Database, blobs and token.")
@click.option("--tls-cert", type=_FILE, help="PEM certificate chain.")
@click.option("--tls-key", type=_FILE, help="Its PEM private key.")
@click.option(
    "--insecure-no-tls",
    is_flag=True,
    default=None,
    help="Listen beyond this machine without TLS, on a network you trust.",
)
@click.option("--idle-exit-seconds", type=float, help="End after so long without work; 0: never.")
@click.option("--retention-days", type=float, help="How long ended calls are kept; 7.")
@click.option(
    "--object-retention-days",
    type=float,
    help="How long entries of dicts are kept that nobody uses; 7.",
)
@click.option(
    "--secrets-key-file",
    type=click.Path(path_type=Path),
    help="The keys of secrets, on another disk than they; default: secrets.key in the data directory.",
)
@click.option(
    "--worker-lost-seconds",
    type=float,
    help="How long a disconnected worker keeps what it runs; 10.",
)
@click.option(
    "--placement",
    type=click.Choice(["spread", "pack"]),
    help="Start containers where most cpu is free, or where least is.",
)
@click.option(
    "--workspace",
    "workspaces",
    multiple=True,
    metavar="NAME=WEIGHT[:MAX]",
    help="A workspace's share of the machines, and its most containers. Repeat it.",
)
@click.option(
    "--web-domain",
    metavar="DOMAIN",
    help="Web endpoints have hosts below it, LABEL.DOMAIN; those below localhost there are always.",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--json", "as_json", is_flag=True, help="Print errors as JSON.")
def command(*, as_json: bool, **given: object) -> int:  # noqa: ARG001  # read where errors are printed
    """Be the server: accept work, keep it, and hand it to workers, until SIGTERM or Ctrl-C.

    Options not given come from the environment (OFFLOAD_HOST, OFFLOAD_HTTP_PORT, …), then from the defaults.
    """
    from offload.control.config import ConfigError, ServerConfig
    from offload.control.main import run

    try:
        config = ServerConfig.from_env()
    except ConfigError as error:
        raise CliError(str(error)) from None
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    return run(dataclasses.replace(config, **chosen))  # type: ignore[arg-type]  # click made them of these types
