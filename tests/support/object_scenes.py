"""Operations on objects, one scene each, on a store that has some already; and what is to be seen of the whole."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.objects import a_secret, an_object

from offload.control.core.objects import ObjectKind, Scope
from offload.control.ports.contents import (
    ClearDict,
    ClearItems,
    Entry,
    PopEntry,
    PutEntries,
    PutItems,
    Request,
    TakeItems,
    Value,
)
from offload.control.ports.objects import CreateObject, DeleteObjects, RenameObject, Times
from offload.control.ports.sealed import PutSecret, Reseal, Sealed
from offload.control.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from offload.control.ports.objects import Operation
    from offload.control.ports.store import Store

DICT = an_object("d", number=1)
QUEUE = replace(an_object("q", number=2), object_id="qu-2", kind=ObjectKind.QUEUE)
SECRET = a_secret("s", number=4)
BOX = b"before" * 800  # several pages, as other values here
D, Q = DICT.object_id, QUEUE.object_id
NOW = 100.0

# A frame of the log is a page and 24 bytes: each is cut at several places.
STEP_BYTES = 2_731


def _request(name: str) -> Request:
    return Request(f"rq-{name}", NOW)


def _put(name: str, first: int, count: int, *, only_new: bool = False) -> PutEntries:
    keys = [b"%04d" % number for number in range(first, first + count)]
    value = name.encode() * 400  # several pages for each transaction
    return PutEntries(D, tuple(Entry(key, value) for key in keys), only_new, _request(name))


def _items(name: str, count: int) -> PutItems:
    values = tuple(Value(name.encode() * 400) for _ in range(count))
    return PutItems(Q, "", values, 1000.0, 10_000, _request(name))


# Later than all that is there was used, and its items expire.
LATE = Times(now=2_000.0, unused_since=2_000.0, answered_before=2_000.0)

SCENES: dict[str, list[Operation]] = {
    "create": [CreateObject(an_object("new", number=3))],
    "rename": [RenameObject(D, "renamed")],
    "delete": [DeleteObjects((D, Q))],
    "put": [_put("p", 0, 30)],
    "lock": [_put("l", 500, 1, only_new=True)],
    "pop": [PopEntry(D, b"0003", _request("pop"))],
    "clear": [ClearDict(D), ClearItems(Q, None)],
    "put_many": [_items("m", 40)],
    "get_many": [TakeItems(Q, "", 15, 10**6, _request("take"))],
    "put_secret": [PutSecret(a_secret("new", number=5), Sealed(("A",), "k1", BOX, NOW))],
    "replace_secret": [PutSecret(SECRET, Sealed(("A", "B"), "k1", b"after" * 900, NOW))],
    "reseal_secret": [Reseal(SECRET.object_id, BOX, Sealed(("A",), "k2", b"anew" * 900, NOW))],
    "rename_secret": [RenameObject(SECRET.object_id, "renamed")],
    "delete_secret": [DeleteObjects((SECRET.object_id,))],
    "expire": [],
    "delete and purge": [DeleteObjects((D, Q))],
    "several together": [_put("s", 5, 3), _items("s", 3), PopEntry(D, b"0001", _request("pop"))],
}


def prepare(store: Store) -> None:
    """Make a dict and a queue with something in them."""
    store.objects.apply([CreateObject(DICT), CreateObject(QUEUE)])
    store.objects.apply([_put("before", 0, 10), _items("before", 20)])
    store.objects.apply([PutSecret(SECRET, Sealed(("A",), "k1", BOX, NOW))])


def play(store: Store, scene: str) -> None:
    """Do what a scene does, in one transaction, and then what collects what is of no use any more, where it is about that."""
    store.objects.apply(SCENES[scene])
    if scene in ("expire", "delete and purge"):
        store.objects.collect(LATE, 1_000)


def look(store: Store) -> list[object]:
    """Return all that is to be seen of the objects."""
    objects = store.objects
    named = [each.name for each in objects.list(ObjectKind.DICT, Scope(), "", 100)]
    queues = [each.name for each in objects.list(ObjectKind.QUEUE, Scope(), "", 100)]
    entries = [
        [e.key.decode(), len(e.value)] for e in objects.entries(D, b"", 999, without_values=False)
    ]
    items = [len(item.value) for item in objects.items(Q, "", 0, NOW, 999)]
    secrets = [
        [each.name, *_sealed(objects.sealed(each.object_id))]
        for each in objects.list(ObjectKind.SECRET, Scope(), "", 100)
    ]
    return [named, queues, entries, items, secrets]


def _sealed(sealed: Sealed | None) -> list[object]:
    return ["no box"] if sealed is None else [*sealed.names, sealed.key_id, sealed.box.decode()]


def kill_everywhere(folder: Path, scene: str) -> list[tuple[int, bool, list[object]]]:
    """Play a scene again and again, each time in a process that ends at another byte that it writes.

    The kernel ends it, in the middle of a write, where a file is about to become longer than it may: SQLite's log, to which
    a transaction only appends. Returns how long the log could become, whether the end was acknowledged, and what is to be seen.
    """
    template = folder / "template"
    template.mkdir()
    store = SqliteStore(template / "offload.db")
    prepare(store)
    log = template / "offload.db-wal"
    limit = log.stat().st_size  # while it is open, all is in the log
    found = []
    while True:
        copy = folder / str(limit)
        copy.mkdir()
        for name in ("offload.db", "offload.db-wal"):
            shutil.copyfile(template / name, copy / name)
        was_told = _play_and_die(copy, scene, limit)
        opened = SqliteStore(copy / "offload.db")
        found.append((limit, was_told, look(opened)))
        opened.close()
        shutil.rmtree(copy)
        if was_told:
            store.close()
            return found
        limit += STEP_BYTES


def _play_and_die(folder: Path, scene: str, limit: int) -> bool:
    """Play a scene in a fork whose files may not become longer; return whether it came to its end."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        play(SqliteStore(folder / "offload.db"), scene)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGXFSZ):
        raise AssertionError(f"the process of scene {scene!r} ended with {code}")
    return code == 0


if __name__ == "__main__":
    json.dump(kill_everywhere(Path(sys.argv[1]), sys.argv[2]), sys.stdout)
