"""`offload volume`: volumes, and the files in them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offload.cli import objects, show
from offload.cli import volume_paths as paths
from offload.cli.exits import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from offload.sdk.volume import Volume


def _volumes() -> type[Volume]:
    from offload.sdk.volume import Volume

    return Volume


command = objects.group(
    "volume",
    _volumes,
    "Make, list, fill, read, restore and delete volumes.\n\n"
    "Paths in a volume may be patterns: `*` and `?` within a name, `**` across folders. Quote them.",
)
_name_argument = click.argument("name", metavar="VOLUME")
_list_volumes = command.commands["ls"]


# In place of the one that all kinds have: that is for volumes, this for what is in one, too.
@command.command("ls")
@click.argument("name", metavar="[VOLUME]", default="")
@click.argument("path", default="/")
@click.option("--recursive", "-r", is_flag=True, help="Also what stands in folders below.")
@objects.env_option
@show.json_option
@click.pass_context
def list_them(
    ctx: click.Context,
    /,
    *,
    name: str,
    path: str,
    recursive: bool,
    environment: str | None,
    as_json: bool,
) -> None:
    """List the volumes, or what stands in a folder of one."""
    if not name:
        ctx.invoke(_list_volumes, environment=environment, as_json=as_json)
        return
    with _explained():
        volume = _volume(name, environment)
        if paths.is_pattern(path):
            found = paths.matching(volume, path)
        else:
            found = volume.listdir(path, recursive=recursive)
    if as_json:
        show.print_json({"entries": [entry._asdict() for entry in found]})
        return
    if not found:
        print(f"There is nothing in {name}{'' if path == '/' else f' below {path!r}'}.")
    now = show.wall_clock()
    show.print_table(
        f"{show.count_of(len(found), 'entry') if len(found) == 1 else f'{len(found):,} entries'} in {name}",
        ("size", "changed", "path"),
        (
            (
                str(entry.size) if entry.type == "file" else entry.type,
                show.ago(entry.mtime, now),
                f"{entry.path} -> {entry.target}" if entry.target else entry.path,
            )
            for entry in found
        ),
    )


@command.command("put")
@_name_argument
@click.argument("local")
@click.argument("path", default="/")
@click.option("--force", "-f", is_flag=True, help="Also over files that are there.")
@objects.env_option
@show.json_option
def put(
    *, name: str, local: str, path: str, force: bool, environment: str | None, as_json: bool
) -> None:
    """Store a file, a folder's content, or all that a quoted pattern matches, as one commit.

    Under PATH, or below it where that ends in "/". Only what the server does not have is moved.
    """
    from offload.sdk.blocking import run
    from offload.sdk.volume_files import sources_of_directory, sources_of_file
    from offload.sdk.volume_moves import store

    with _explained():
        places = paths.local_places(local)
        into = path if len(places) == 1 and not path.endswith("/") else path.rstrip("/") + "/"
        sources = []
        for place in places:
            if place.is_dir():
                above = path if len(places) == 1 else f"{into}{place.name}"
                sources += sources_of_directory(place, above)
            else:
                sources += sources_of_file(place, into)
        volume = _volume(name, environment, create=True)
        sizes = [
            s.local.stat().st_size
            for s in sources
            if isinstance(s.local, Path) and s.local.is_file()
        ]
        with _progress(f"put {local}", sum(sizes), quiet=as_json) as advance:
            moved = run(store(volume, sources, "put", force=force, on_sent=advance))
    objects.done(
        as_json,
        f"Stored {show.count_of(len(sizes), 'file')}, {sum(sizes):,} bytes, of which {moved:,} were new.",
        files=len(sizes),
        size_bytes=sum(sizes),
        moved_bytes=moved,
    )


@command.command("get")
@_name_argument
@click.argument("path")
@click.argument("local", default=".")
@click.option("--force", "-f", is_flag=True, help="Also over files that are there.")
@objects.env_option
@show.json_option
def get(
    *, name: str, path: str, local: str, force: bool, environment: str | None, as_json: bool
) -> None:
    """Bring a file, a folder, or all that a pattern matches to this machine; to "-": files' content to stdout."""
    from offload.sdk.blocking import run
    from offload.sdk.volume_moves import fetch

    with _explained():
        volume = _volume(name, environment)
        if local == "-":
            for each in paths.named(volume, path):
                for piece in volume.read_file(each):
                    sys.stdout.buffer.write(piece)
            return
        found = paths.below(volume, path)
        wanted = paths.local_targets(found, path, Path(local))
        taken = [place for place in wanted.values() if place.is_file() and not force]
        if taken:
            raise CliError(f"{taken[0]} is there already: remove it, or add --force.")
        size_bytes = sum(entry.size for entry in found)
        with _progress(f"get {path}", size_bytes, quiet=as_json) as advance:
            run(fetch(volume, wanted, advance))
    files = sum(entry.type == "file" for entry in found)
    objects.done(
        as_json,
        f"Brought {show.count_of(files, 'file')}, {size_bytes:,} bytes.",
        files=files,
        size_bytes=size_bytes,
    )


@command.command("rm")
@_name_argument
@click.argument("path")
@click.option("--recursive", "-r", is_flag=True, help="Folders with all that is in them.")
@objects.env_option
@show.json_option
def remove(
    *, name: str, path: str, recursive: bool, environment: str | None, as_json: bool
) -> None:
    """Remove a file, or all that a pattern matches."""
    with _explained():
        volume = _volume(name, environment)
        removed = paths.named(volume, path)
        for each in removed:
            if not any(each.startswith(f"{other}/") for other in removed):
                volume.remove_file(each, recursive=recursive)
    objects.done(as_json, f"Removed {', '.join(removed)}.", removed=removed)


@command.command("cp")
@_name_argument
@click.argument("sources", nargs=-1, required=True)
@click.argument("target")
@objects.env_option
@show.json_option
def copy(
    *, name: str, sources: tuple[str, ...], target: str, environment: str | None, as_json: bool
) -> None:
    """Copy files and folders within a volume; moves no bytes."""
    with _explained():
        volume = _volume(name, environment)
        copied = [path for source in sources for path in paths.named(volume, source)]
        volume.copy_files(copied, target)
    sentence = f"Copied {', '.join(copied)} to {target}."
    objects.done(as_json, sentence, copied=copied, target=target)


@command.command("snapshots")
@_name_argument
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000))
@objects.env_option
@show.json_option
def snapshots(*, name: str, limit: int, environment: str | None, as_json: bool) -> None:
    """List the versions that can be restored, newest first."""
    with _explained():
        found = _volume(name, environment).snapshots(limit=limit)
    if as_json:
        show.print_json({"snapshots": [snapshot._asdict() for snapshot in found]})
        return
    now = show.wall_clock()
    show.print_table(
        f"Snapshots of {name}",
        ("id", "made", "files", "bytes", "by"),
        (
            (str(s.id), show.ago(s.created_at, now), f"{s.files:,}", f"{s.size:,}", s.cause)
            for s in found
        ),
    )


@command.command("restore")
@_name_argument
@click.argument("snapshot", type=click.IntRange(1))
@objects.env_option
@show.json_option
def restore(*, name: str, snapshot: int, environment: str | None, as_json: bool) -> None:
    """Make a volume what it was at a snapshot, as a new version."""
    with _explained():
        made = _volume(name, environment).restore(snapshot)
    sentence = f"Volume {name} is what it was at {snapshot}; that is snapshot {made}."
    objects.done(as_json, sentence, restored=snapshot, id=made)


def _volume(name: str, environment: str | None, *, create: bool = False) -> Volume:
    return _volumes().from_name(name, environment_name=environment, create_if_missing=create)


@contextmanager
def _progress(title: str, total_bytes: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; yield what is told of each piece."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total_bytes)
        yield lambda size_bytes: bar.advance(task, size_bytes)
        bar.update(task, completed=total_bytes)  # what came twice was read and not sent


@contextmanager
def _explained() -> Iterator[None]:
    """See `objects.explained`; here files of this machine may be what is wrong, too."""
    try:
        with objects.explained():
            yield
    except BrokenPipeError:
        raise  # whoever reads the output has seen enough
    except OSError as error:
        raise CliError(f"{error.filename or 'This machine'}: {error.strerror}.") from None
