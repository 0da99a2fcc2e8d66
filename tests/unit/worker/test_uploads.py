"""What becomes of a container's large values and volumes before its results are told."""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING

from offload.wire.guest import Bulk
from offload.worker.inputs.spool import Spool
from offload.worker.inputs.uploads import Blob, Uploads

if TYPE_CHECKING:
    from pathlib import Path


def test_what_an_input_wrote_is_committed_while_its_items_are_still_on_their_way(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        happened: list[str] = []
        may_store = asyncio.Event()

        async def upload(file: IO[bytes]) -> tuple[str, int]:
            await may_store.wait()
            return "sha", 4

        async def commit(container_id: str) -> str:
            happened.append(f"commit of {container_id}")
            return ""

        uploads = Uploads(upload, lambda owner, on: None, commit)
        spool = Spool(tmp_path, 1024)
        spool.feed(Bulk(1, b"item", True))

        def told(what: str) -> None:
            happened.append(what)

        uploads.add("in-1", "co-1", spool.take(1), lambda blob, why_not: told(f"item {blob}"))
        uploads.add("in-1", "co-1", None, lambda blob, why_not: told("result"), commits=True)
        for _ in range(10):
            await asyncio.sleep(0)
        before_it_is_stored = list(happened)
        may_store.set()
        await uploads.wait_done()

        assert before_it_is_stored == ["commit of co-1"]
        assert happened == ["commit of co-1", f"item {Blob('sha', 4)}", "result"]

    asyncio.run(scenario())
