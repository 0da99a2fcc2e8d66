"""Files of this machine into a volume as one commit, and back."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk.session import current_client
from offload.sdk.volume_files import make_folders, make_links, read_sources, written
from offload.wire.chunking import ChunkReader
from offload.wire.trees import Entry, Kind
from offload.wire.volume_requests import Change, TreeRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from offload.sdk.option_types import VolumeChoice
    from offload.sdk.volume_files import Source


async def store(
    volume: VolumeChoice,
    sources: list[Source],
    cause: str,
    *,
    force: bool,
    on_sent: Callable[[int], None] = lambda _: None,
) -> int:
    """Store files as one commit; return how many bytes the server did not have. Raises `OffloadError`."""
    volume_id = await volume.find()
    volumes = current_client().volumes
    if not force:
        await _refuse_existing(volume_id, sources)
    reader = ChunkReader(read_sources(sources))
    sent = await volumes.upload(reader.next_batch, on_sent)
    entries = reader.entries(sent.names)
    await volumes.commit(volume_id, cause, [Change(put=entry) for entry in entries])
    return sent.sent_bytes


async def _refuse_existing(volume_id: str, sources: list[Source]) -> None:
    entries = await gather(current_client().volumes.entries(TreeRequest(volume_id)))
    existing = {entry.path: entry.kind for entry in entries}
    taken = list(dict.fromkeys(path for source in sources for path in _replaced(source, existing)))
    if taken:
        if existing[taken[0]] is Kind.DIRECTORY:
            raise InvalidError(
                f"{taken[0]} is a folder in the volume: write {taken[0] + '/'!r} to store into it, or force=True (on the command "
                "line: --force) to have a file in place of all that is in it"
            )
        which = f"{taken[0]} is" if len(taken) == 1 else f"{taken[0]} and {len(taken) - 1} more are"
        raise InvalidError(
            f"{which} in the volume already: write force=True (on the command line: --force)"
        )


def _replaced(source: Source, existing: dict[str, Kind]) -> Iterator[str]:
    """Yield the paths at which something stands that is no more once the source does."""
    here = existing.get(source.path)
    local = source.local
    is_folder = isinstance(local, Path) and local.is_dir() and not local.is_symlink()
    if here is not None and not (is_folder and here is Kind.DIRECTORY):
        yield source.path
    for above in PurePosixPath(source.path).parents:
        if existing.get(str(above), Kind.DIRECTORY) is not Kind.DIRECTORY:
            yield str(above)


async def fetch(
    volume: VolumeChoice,
    wanted: dict[str, Path],
    on_got: Callable[[int], None] = lambda _: None,
) -> int:
    """Write files, folders and symlinks of a volume to places of this machine; return how many. Raises `OffloadError`."""
    volumes = current_client().volumes
    entries = await gather(volumes.entries(TreeRequest(await volume.find())))
    found = [(entry, wanted[entry.path]) for entry in entries if entry.path in wanted]
    files = [(entry, place) for entry, place in found if entry.kind is Kind.FILE]
    make_folders(found)
    chunks = [chunk for entry, _ in files for chunk in entry.chunks]
    async with aclosing(volumes.contents(chunks)) as pieces:
        for entry, place in files:
            with written(entry, place) as file:
                for chunk in entry.chunks:
                    file.write(await anext(pieces))
                    on_got(chunk.size_bytes)
    make_links(found)
    return len(found)


async def gather(pages: AsyncIterator[list[Entry]]) -> list[Entry]:
    """Return the entries of all pages."""
    return [entry async for page in pages for entry in page]
