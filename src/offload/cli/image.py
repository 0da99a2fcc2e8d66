"""`offload image`: what the worker of this machine builds and keeps. It works on the data directory, beside the worker."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import replace
from typing import IO, TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from offload.cli.program import Target
    from offload.worker.config import WorkerConfig
    from offload.worker.core.content import Content
    from offload.worker.images.builder import RootfsBuilder
    from offload.worker.images.chain import BuiltImage, ChainBuilder
    from offload.worker.images.docker_builder import DockerBuilder
    from offload.worker.images.docker_layers import EngineLayers
    from offload.worker.images.store import LayerStore, StoredStep

_MIB = 1024 * 1024
_SHOWN_DIGEST = 12


@click.group()
def command() -> None:
    """Build images here, list and prune those that are built, look into one.

    These commands are about this machine's workers: they work on the layers in the data directory, whether a worker runs
    or not. Workers of other machines have layers of their own.
    """


@command.command("ls")
@show.json_option
def list_images(*, as_json: bool) -> None:
    """List what is built, the most recently used first: one line for every step that an image may end with."""
    with _told_of_the_engine():
        rows = [(store, step) for store in _stores() for step in store.steps()]
    if as_json:
        show.print_json([_document(store, step) for store, step in rows])
        return
    if not rows:
        print("No image has been built here.")
    now = show.wall_clock()
    show.print_table(
        "Images",
        ("digest", "last step", "in", "own MiB", "all MiB", "layers", "used"),
        [
            (
                step.digest[:_SHOWN_DIGEST],
                step.state.label,
                _builder_of(store),
                f"{step.own_bytes / _MIB:,.1f}",
                f"{step.size_bytes / _MIB:,.1f}",
                str(len(step.state.layers)),
                show.ago(step.used_at, now),
            )
            for store, step in rows
        ],
    )


@command.command("prune")
@show.json_option
def prune(*, as_json: bool) -> None:
    """Remove every layer that no container uses. What is called again is built again."""
    with _told_of_the_engine():
        freed = sum(store.prune() for store in _stores())
    if as_json:
        show.print_json({"freed_bytes": freed})
    else:
        print(f"Removed {freed / _MIB:,.1f} MiB.")


@command.command("build")
@click.argument("program", metavar="FILE[::NAME]")
@show.json_option
def build(*, program: str, as_json: bool) -> None:
    """Build the images of a program's functions here, where the worker of this machine finds them.

    NAME chooses one of the functions.
    """
    built = []
    for target in _targets(program):
        builder = _docker_builder() if _is_for_docker(target) else _builder()
        hold = asyncio.run(_built(builder, target, quiet=as_json))
        built.append(
            {
                "function": target.name,
                "layers": len(hold.root.layers) or 1,
                "engine_image": hold.root.engine_image,
                "python": hold.root.python,
                "python_version": hold.python_version,
            }
        )
        hold.release()
        if not as_json:
            print(f"{target.name}: Python {hold.python_version} at {hold.root.python}")
    if as_json:
        show.print_json(built)


@command.command("shell")
@click.argument("program", metavar="FILE[::NAME]")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
def shell(*, program: str, words: tuple[str, ...]) -> int:
    """Open a shell, or run COMMAND, in the image of a function, which is built first. What it changes is lost.

    It is the root of a sandbox like those that images are built in: with the network, without the program's files.
    """
    from offload.worker.images.steps import build_environment

    targets = _targets(program)
    if len(targets) > 1:
        names = ", ".join(target.name for target in targets)
        raise CliError(f"{program} has several functions with images: name one of {names}")
    if _is_for_docker(targets[0]):
        hold = asyncio.run(_built(_docker_builder(), targets[0], quiet=False))
        raise CliError(
            f"its image is in the Docker Engine: write `docker run --rm -it {hold.root.engine_image} /bin/sh`"
        )
    builder = _builder()
    hold = asyncio.run(_built(builder, targets[0], quiet=False))
    try:
        env = build_environment(hold.root.env, (), has_ca=False)
        return builder.sandbox.run_on_terminal(
            words or ("/bin/sh",), env, hold.root.layers[:-1], hold.root.working_dir
        )
    finally:
        hold.release()


class _Narrator:
    """Prints what a build does. See `BuildListener`."""

    audience = "this terminal"

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def on_progress(self, text: str) -> None:
        """See `BuildListener`."""

    def on_build_line(self, text: str) -> None:
        """See `BuildListener`."""
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)


async def _built(builder: ChainBuilder, target: Target, *, quiet: bool) -> BuiltImage:
    from offload.errors import InvalidError
    from offload.sdk.client.images import describe, send_inline
    from offload.sdk.image_choice import image_of
    from offload.worker.link.translate import read_image
    from offload.worker.ports import ImageError

    function = target.app.functions[target.name]
    try:
        chosen = image_of(function.raw_function, target.name, function.options.image)
        assert chosen is not None, "only such functions are chosen"  # noqa: S101  # a bug here
        message = await describe(chosen, send_inline)
        return await builder.build(read_image(message), _Narrator(quiet=quiet))
    except InvalidError as error:
        raise CliError(str(error)) from None
    except ImageError as error:
        lines = "".join(f"\n  {line}" for line in error.last_lines) if quiet else ""
        raise CliError(f"{error}{lines}", Exit.PROGRAM_FAILED) from None


def _targets(program: str) -> list[Target]:
    from offload.cli import program as programs
    from offload.sdk.source import ship_by_value

    file, _, name = program.partition("::")
    module = programs.load(file)
    ship_by_value(module)
    found = [
        target
        for target in programs.functions(module)
        if not name or target.name == name
        if _has_image(target)
    ]
    if not found:
        who = f"function {name!r} with an image" if name else "function with an image"
        raise CliError(f"{file} has no {who}: nothing is built for Image.local().", Exit.NOT_FOUND)
    return found


def _has_image(target: Target) -> bool:
    image = target.app.functions[target.name].options.image
    return image is not None and not image.is_local


def _builder() -> RootfsBuilder:
    from offload.worker.main import make_builder
    from offload.worker.ports import RuntimeUnavailableError

    try:
        return make_builder(_config(), _no_blobs)
    except RuntimeUnavailableError as error:
        raise CliError(str(error)) from None


def _docker_builder() -> DockerBuilder:
    from offload.worker.main import make_docker_builder
    from offload.worker.ports import RuntimeUnavailableError

    try:
        return make_docker_builder(_config(), _no_blobs)
    except RuntimeUnavailableError as error:
        raise CliError(str(error)) from None


def _is_for_docker(target: Target) -> bool:
    return target.app.functions[target.name].options.runtime == "docker"


async def _no_blobs(content: Content) -> IO[bytes]:
    raise OSError(f"{content!r} is not in this process")  # everything was sent inline


def _stores() -> list[LayerStore | EngineLayers]:
    from offload.worker.docker_engine import find_socket
    from offload.worker.images.build_engine import BuildEngine
    from offload.worker.images.builder import open_store
    from offload.worker.images.docker_layers import EngineLayers

    config = _config()
    workers = sorted(_state_dir().glob("workers/*/images"))
    stores: list[LayerStore | EngineLayers] = [open_store(path, config.images) for path in workers]
    socket = find_socket(config.docker_socket)
    if socket is not None:
        stores += [
            EngineLayers(path / "docker", config.images.max_bytes, BuildEngine(socket))
            for path in workers
            if (path / "docker").is_dir()
        ]
    return stores


@contextlib.contextmanager
def _told_of_the_engine() -> Iterator[None]:
    from offload.worker.docker_engine import DockerError

    try:
        yield
    except DockerError as error:
        raise CliError(str(error)) from None


def _config() -> WorkerConfig:
    """Return the settings that a worker started here would have."""
    from offload.worker.config import ConfigError, WorkerConfig

    try:
        config = WorkerConfig.from_environment(_state_dir())
    except ConfigError as error:
        raise CliError(str(error)) from None
    return replace(config, data_dir=config.data_dir / "workers" / config.name)


def _state_dir() -> Path:
    from offload.sdk.config import read_config

    return read_config().data_dir


def _document(store: LayerStore | EngineLayers, step: StoredStep) -> dict[str, object]:
    return {
        "digest": step.digest,
        "last_step": step.state.label,
        "own_bytes": step.own_bytes,
        "size_bytes": step.size_bytes,
        "layers": len(step.state.layers),
        "used_at": step.used_at,
        "builder": _builder_of(store),
        "worker": _worker_of(store),
    }


def _builder_of(store: LayerStore | EngineLayers) -> str:
    return "docker" if store.directory.name == "docker" else "rootfs"


def _worker_of(store: LayerStore | EngineLayers) -> str:
    folder = store.directory
    return (folder.parent if folder.name == "docker" else folder).parent.name
