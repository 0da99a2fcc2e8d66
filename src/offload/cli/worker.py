"""`offload worker`: a node as a process; and the workers of a server, listed and drained."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offload.cli import doctor, show
from offload.cli.exits import CliError

if TYPE_CHECKING:
    from offload.wire.gen import cluster_pb2
    from offload.wire.link import Link
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
    show_private: bool | None
    host_network: bool | None
    give_up_after_seconds: float | None
    drain_seconds: float | None
    cancel_grace: float | None
    templates: int | None
    image_cache_gib: float | None
    blob_cache_gib: float | None
    output_mib: int | None
    tls_ca: Path | None


# How often `drain --wait` looks: a person should not wait much longer than the worker does.
_LOOK_SECONDS = 0.3


@click.group(invoke_without_command=True)
@click.option("--server-url", metavar="URL", help="http://HOST:PORT or https://HOST:PORT.")
@click.option("--token-file", type=_FILE, help="The server's token; default: DATA_DIR/token.")
@click.option("--cpu", type=float, help="Cores to give; default: all.")
@click.option("--memory", type=int, help="MiB to give; default: 90 % of what is available.")
@click.option("--gpus", metavar="GPUS", help="none, 2:H100 or 0:H100,1:A100; default: all found.")
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="Can be repeated.")
@click.option(
    "--runtime",
    type=click.Choice(["bubblewrap", "gvisor", "docker", "process"]),
    help="The default of its functions; process: no sandbox.",
)
@click.option("--name", help="What people call it; default: the host's name.")
@click.option("--data-dir", type=_FILE, help="Where blobs are kept and spooled.")
@click.option(
    "--show-private",
    is_flag=True,
    default=None,
    help="For root: let functions read, by naming them, folders that only their owner can read.",
)
@click.option(
    "--host-network",
    is_flag=True,
    default=None,
    help="Let containers share this machine's network, loopback and all, and refuse allow-lists.",
)
@click.option(
    "--give-up-after-seconds", type=float, help="End when the server is gone so long; 0: never."
)
@click.option("--drain-seconds", type=float, help="For inputs in hand after SIGTERM; default: 30.")
@click.option(
    "--cancel-grace", type=float, help="Seconds for a cancelled input to clean up; default: 5."
)
@click.option(
    "--templates",
    type=int,
    help="Functions kept loaded, to fork containers from, at most; 0: none; default: 8.",
)
@click.option(
    "--image-cache-gib", type=float, help="Disk for layers of images, in GiB; default: 20."
)
@click.option("--blob-cache-gib", type=float, help="Disk for blobs, in GiB; default: 10.")
@click.option(
    "--output-mib",
    type=int,
    help="What an input may print before the rest is dropped; default: 64.",
)
@click.option("--tls-ca", type=_FILE, help="PEM authority that signed the server's certificate.")
@click.option("--json", "as_json", is_flag=True, help="Print errors as JSON.")
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **given: object) -> int | None:
    """Be a worker: dial the server and run containers for it, until SIGTERM or Ctrl-C.

    SIGTERM lets inputs in hand finish and gives the others back. OFFLOAD_SERVER_URL, OFFLOAD_TOKEN, OFFLOAD_TOKEN_FILE,
    OFFLOAD_DATA_DIR, OFFLOAD_GPUS, OFFLOAD_LABELS, OFFLOAD_DRAIN_SECONDS, OFFLOAD_CANCEL_GRACE_SECONDS,
    OFFLOAD_TEMPLATES, OFFLOAD_OUTPUT_MIB, OFFLOAD_IMAGE_CACHE_GIB and OFFLOAD_BLOB_CACHE_GIB stand in for options that are not given. The subcommands are about workers that run elsewhere, and take none of these options.
    """
    if ctx.invoked_subcommand is not None:
        show.pass_json_on(ctx, as_json=as_json)
        for name, value in given.items():
            if value not in (None, ()):
                flag = "--" + name.replace("_", "-")
                raise CliError(f"{flag} is for `offload worker` itself, not for its subcommands.")
        return None
    from offload.worker.config import ConfigError
    from offload.worker.main import run

    try:
        config = _config(_Given(**given))  # type: ignore[arg-type]  # click made them of these types
    except ConfigError as error:
        raise CliError(str(error)) from None
    return run(
        config, lambda: print(f"offload worker {config.name} is ready", file=sys.stderr, flush=True)
    )


command.add_command(doctor.command)


@command.command("ls")
@show.json_option
def list_workers(*, as_json: bool) -> None:
    """List the workers of the server that the settings name."""
    from offload.cli.ask import ask
    from offload.cli.status import print_workers
    from offload.wire.gen import cluster_pb2

    status = ask("Cluster/Status", cluster_pb2.StatusRequest(), cluster_pb2.StatusReply)
    if as_json:
        show.print_json(show.as_document(status)["workers"])
    else:
        print_workers(status.workers)


@command.command("drain")
@click.argument("worker", metavar="NAME|ID")
@click.option("--wait", is_flag=True, help="Return when it has left.")
@show.json_option
def drain(*, worker: str, wait: bool, as_json: bool) -> None:
    """Have a worker take nothing new, finish what it runs, and leave. Idempotent.

    Ctrl-C ends the waiting, not the draining.
    """
    from offload.cli.ask import talk

    worker_id = talk(lambda link: _drain(link, worker, wait=wait))
    if as_json:
        show.print_json({"worker_id": worker_id, "has_left": wait})
    elif wait:
        print(f"Worker {worker} has left.")
    else:
        print(
            f"Worker {worker} takes nothing new and leaves when it has finished what it runs; "
            f"`offload worker ls` shows whether it has."
        )


async def _drain(link: Link, worker: str, *, wait: bool) -> str:
    from offload.wire.gen import cluster_pb2

    reply = await link.unary(
        "offload.v1.Cluster/DrainWorker",
        cluster_pb2.DrainWorkerRequest(worker=worker),
        cluster_pb2.DrainWorkerReply,
    )
    said = ""
    while wait:
        status = await link.unary(
            "offload.v1.Cluster/Status", cluster_pb2.StatusRequest(), cluster_pb2.StatusReply
        )
        line = _what_it_runs(status, reply.worker_id)
        if line is None:
            break
        if line != said:
            print(line, file=sys.stderr, flush=True)
            said = line
        await asyncio.sleep(_LOOK_SECONDS)
    return reply.worker_id


def _what_it_runs(status: cluster_pb2.StatusReply, worker_id: str) -> str | None:
    """Say what keeps the worker from leaving; None where it has left."""
    for worker in status.workers:
        if worker.worker_id == worker_id:
            theirs = [each for each in status.containers if each.worker_id == worker_id]
            inputs = show.count_of(sum(each.inputs_in_hand for each in theirs), "input")
            containers = show.count_of(len(theirs), "container")
            name = worker.name or worker_id
            return f"{name} is {worker.state}: {inputs} in hand, in {containers}"
    return None


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
        "shows_private": given.show_private,
        "host_network": given.host_network,
        "give_up_after_seconds": given.give_up_after_seconds,
        "drain_seconds": given.drain_seconds,
        "cancel_grace_seconds": given.cancel_grace,
        "templates": given.templates,
        "cache_bytes": None if given.blob_cache_gib is None else _bytes(given.blob_cache_gib),
        "images": None
        if given.image_cache_gib is None
        else dataclasses.replace(config.images, max_bytes=_bytes(given.image_cache_gib)),
        "output_mib": given.output_mib,
        "tls_ca_file": given.tls_ca,
    }
    kept = {key: value for key, value in chosen.items() if value is not None}
    return dataclasses.replace(config, **kept)  # type: ignore[arg-type]  # each has its field's type


def _bytes(gib: float) -> int:
    return round(gib * 1024**3)


def _default_data_dir() -> Path:
    from offload.sdk.config import read_config

    return read_config().data_dir
