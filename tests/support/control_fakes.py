"""What the services stand on, with knobs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.clock import SettableClock
from tests.support.keyring import MemoryKeyring

from offload.control.blobs.memory import MemoryBlobs
from offload.control.core.dispatch import Policy
from offload.control.frontends.rpc.classes import EncodedDefinitions
from offload.control.ports.records import Record
from offload.control.ports.store import StoreError
from offload.control.services.assembly import Outside
from offload.control.stores.memory import MemoryStore
from offload.control.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["KnobStore", "SettableClock", "outside"]


class KnobStore(MemoryStore):
    """A memory store that can refuse commits, or hold them until released."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal = ""
        self.commits: list[list[Record]] = []
        self.gate = threading.Event()
        self.gate.set()

    def commit(self, records: Sequence[Record]) -> None:
        if not self.gate.wait(10):
            raise StoreError("the test forgot to open the gate")
        if self.refusal:
            raise StoreError(self.refusal)
        super().commit(records)
        self.commits.append(list(records))


def outside(store: MemoryStore, clock: SettableClock) -> Outside:
    """Everything in memory."""
    return Outside(
        store,
        MemoryBlobs(clock),
        clock,
        Telemetry(),
        MemoryKeyring(),
        EncodedDefinitions(),
        "t",
        str(Path("/nowhere")),
        Policy(recovery_seconds=0.0),
    )
