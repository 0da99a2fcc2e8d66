"""Everything that is written about secrets, in a process that ends at a chosen moment of it; and what is found after that."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.control_fakes import SettableClock, outside

from offload.control.core.objects import ObjectKind, Scope
from offload.control.services.assembly import start
from offload.control.services.objects import Wanted
from offload.control.stores.keyring import FileKeyring
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from offload.control.ports.objects import Answer, Operation
    from offload.control.services.assembly import Services

COUNT = 5
Found = dict[str, object]


def wanted(name: str) -> Wanted:
    """Return what makes the secret of that name."""
    return Wanted(ObjectKind.SECRET, Scope(), name)


async def create(services: Services) -> None:
    await services.secrets.put(wanted("new"), {"A": "new"}, may_replace=False)


async def replace_all(services: Services) -> None:
    await services.secrets.put(wanted("s0"), {"B": "other", "C": "third"}, may_replace=True)


async def rename(services: Services) -> None:
    found = await services.objects.open(wanted("s0"))
    await services.objects.rename(found.object_id, "renamed", None)


async def delete(services: Services) -> None:
    found = await services.objects.open(wanted("s0"))
    await services.objects.delete(found.object_id, None)


async def rotate(services: Services) -> None:
    await services.secrets.rotate()


SCENES: dict[str, Callable[[Services], Awaitable[None]]] = {
    "create": create,
    "replace": replace_all,
    "rename": rename,
    "delete": delete,
    "rotate": rotate,
}


class Fuse:
    """Kills this process at the n-th write: before it happens, or right after."""

    def __init__(self, at: int) -> None:
        self.left = at

    def burn(self) -> None:
        """Take note of a moment at which the machine may stop."""
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def with_services(
    folder: Path, work: Callable[[Services], Awaitable[object]], fuse: Fuse | None = None
):
    """Start the services of a folder, work with them, and end them."""

    async def run() -> object:
        store = SqliteStore(folder / "offload.db")
        apply = store.objects.apply

        def burning(operations: Sequence[Operation]) -> Sequence[Answer]:
            if fuse is not None:
                fuse.burn()
            answers = apply(operations)
            if fuse is not None:
                fuse.burn()
            return answers

        store.objects.apply = burning  # type: ignore[method-assign]  # what every write goes through
        all_outside = outside(store, SettableClock())  # type: ignore[arg-type]  # it is a store too
        keyring = FileKeyring(folder / "secrets.key")
        services = await start(replace(all_outside, keyring=keyring))
        try:
            return await work(services)
        finally:
            await services.close()
            store.close()

    return asyncio.run(run())


async def prepare(services: Services) -> None:
    """Make some secrets."""
    for number in range(COUNT):
        await services.secrets.put(wanted(f"s{number}"), {"A": f"{number}"}, may_replace=False)


async def look(services: Services) -> Found:
    """Return all that is in all secrets, opened."""
    found = await services.secrets.listed(Scope(), "", 0)
    return {
        each.stored.name: await services.secrets.reveal([each.stored.object_id]) for each in found
    }


def burn_at_files(folder: Path, fuse: Fuse) -> None:
    """Have the fuse burn at everything that is done to the file of keys, before it is done."""

    def heard(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.remove") and str(folder / "secrets.key") in str(
            arguments[0]
        ):
            fuse.burn()

    sys.addaudithook(heard)


if __name__ == "__main__":
    where, scene, moment = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    lit = Fuse(moment)
    burn_at_files(where, lit)
    with_services(where, SCENES[scene], lit)
