"""`offload volume`: volumes, and the files in them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offload.cli import objects, show
from offload.cli import volume_paths as paths
from offload.cli.exits import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from offload.sdk.volume import Volume

_env_option = click.option(
    "--env", "environment", metavar="NAME", help="The environment; default: the settings'."
)
_name_argument = click.argument("name", metavar="VOLUME")


@click.group()
@show.json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool) -> None:
    """Make, list, fill, read, restore and delete volumes.

    Paths in a volume may be patterns: `*` and `?` within a name, `**` across folders. Quote them.
    """
    show.pass_json_on(ctx, as_json=as_json)


@command.command("create")
@_name_argument
@_env_option
@show.json_option
def create(*, name: str, environment: str | None, as_json: bool) -> None:
    """Make a volume; one that is there already stays as it is."""
    with _explained():
        volume = _volume(name, environment, create=True)
        document = {"name": name, "object_id": volume.object_id}
    _tell(as_json, document, f"Volume {name} is there.")


@command.command("ls")
@click.argument("name", metavar="[VOLUME]", default="")
@click.argument("path", default="/")
@click.option("--recursive", "-r", is_flag=True, help="Also what stands in folders below.")
@_env_option
@show.json_option
def list_them(
    *, name: str, path: str, recursive: bool, environment: str | None, as_json: bool
) -> None:
    """List the volumes, or what stands in a folder of one."""
    with _explained():
        if not name:
            _list_volumes(environment, as_json=as_json)
            return
        volume = _volume(name, environment)
        if paths.is_pattern(path):
            found = paths.matching(volume, path)
        else:
            found = volume.listdir(path, recursive=recursive)
    if as_json:
        show.print_json([entry._asdict() for entry in found])
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
@_env_option
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
    document = {"files": len(sizes), "size_bytes": sum(sizes), "moved_bytes": moved}
    _tell(
        as_json,
        document,
        f"Stored {show.count_of(len(sizes), 'file')}, {sum(sizes):,} bytes, of which {moved:,} were new.",
    )


@command.command("get")
@_name_argument
@click.argument("path")
@click.argument("local", default=".")
@click.option("--force", "-f", is_flag=True, help="Also over files that are there.")
@_env_option
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
    _tell(
        as_json,
        {"files": files, "size_bytes": size_bytes},
        f"Brought {show.count_of(files, 'file')}, {size_bytes:,} bytes.",
    )


@command.command("rm")
@_name_argument
@click.argument("path")
@click.option("--recursive", "-r", is_flag=True, help="Folders with all that is in them.")
@_env_option
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
    _tell(as_json, {"removed": removed}, f"Removed {', '.join(removed)}.")


@command.command("cp")
@_name_argument
@click.argument("sources", nargs=-1, required=True)
@click.argument("target")
@_env_option
@show.json_option
def copy(
    *, name: str, sources: tuple[str, ...], target: str, environment: str | None, as_json: bool
) -> None:
    """Copy files and folders within a volume; moves no bytes."""
    with _explained():
        volume = _volume(name, environment)
        copied = [path for source in sources for path in paths.named(volume, source)]
        volume.copy_files(copied, target)
    _tell(as_json, {"copied": copied, "target": target}, f"Copied {', '.join(copied)} to {target}.")


@command.command("rename")
@_name_argument
@click.argument("new_name")
@_env_option
@show.json_option
def rename(*, name: str, new_name: str, environment: str | None, as_json: bool) -> None:
    """Give a volume another name."""
    from offload.sdk.volume import Volume

    with _explained():
        Volume.rename(name, new_name, environment_name=environment)  # type: ignore[call-arg]  # of the class it takes one
    _tell(as_json, {"name": new_name}, f"Volume {name} is now {new_name}.")


@command.command("delete")
@_name_argument
@click.option("--yes", "-y", is_flag=True, help="Without asking.")
@_env_option
@show.json_option
def delete(*, name: str, yes: bool, environment: str | None, as_json: bool) -> None:
    """Delete a volume with all that is in it, its snapshots included."""
    from offload.sdk.volume import Volume

    if not yes and not as_json:
        _ask_whether(f"Delete volume {name} with all that is in it?")
    with _explained():
        Volume.delete(name, environment_name=environment)
    _tell(as_json, {"deleted": name}, f"Volume {name} is deleted.")


@command.command("snapshots")
@_name_argument
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000))
@_env_option
@show.json_option
def snapshots(*, name: str, limit: int, environment: str | None, as_json: bool) -> None:
    """List the versions that can be restored, newest first."""
    with _explained():
        found = _volume(name, environment).snapshots(limit=limit)
    if as_json:
        show.print_json([snapshot._asdict() for snapshot in found])
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
@_env_option
@show.json_option
def restore(*, name: str, snapshot: int, environment: str | None, as_json: bool) -> None:
    """Make a volume what it was at a snapshot, as a new version."""
    with _explained():
        made = _volume(name, environment).restore(snapshot)
    _tell(
        as_json,
        {"restored": snapshot, "id": made},
        f"Volume {name} is what it was at {snapshot}; that is snapshot {made}.",
    )


def _volume(name: str, environment: str | None, *, create: bool = False) -> Volume:
    from offload.sdk.volume import Volume

    return Volume.from_name(name, environment_name=environment, create_if_missing=create)


def _ask_whether(question: str) -> None:
    try:
        is_wanted = click.confirm(question)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        print(file=sys.stderr)  # behind the question
        raise CliError("Nobody is here to be asked: add --yes.") from None
    if not is_wanted:
        raise CliError("Nothing is deleted.")


def _list_volumes(environment: str | None, *, as_json: bool) -> None:
    from offload.sdk.volume import Volume

    found = Volume.list(environment_name=environment)
    if as_json:
        show.print_json([volume._asdict() for volume in found])
        return
    now = show.wall_clock()
    rows = [(v.name, show.ago(v.created_at, now), v.object_id) for v in found]
    objects.print_list("volume", environment, ("name", "made", "id"), rows)


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
    """Turn what the SDK raises into what the command ends with."""
    from offload import errors

    try:
        yield
    except errors.NotFoundError as error:
        raise CliError(str(error), Exit.NOT_FOUND) from None
    except (errors.ConnectionLostError, errors.AuthError, errors.VersionError) as error:
        raise CliError(str(error), Exit.SERVER) from None
    except errors.OffloadError as error:
        raise CliError(str(error)) from None
    except BrokenPipeError:
        raise  # whoever reads the output has seen enough
    except OSError as error:
        raise CliError(f"{error.filename or 'This machine'}: {error.strerror}.") from None


def _tell(as_json: bool, document: Mapping[str, object], text: str) -> None:
    if as_json:
        show.print_json(document)
    else:
        print(text)
