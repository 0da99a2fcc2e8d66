"""What a worker gives back to a server that has lost blobs."""

from __future__ import annotations

import hashlib

from tests.support.worker_bench import Bench, scenario

CODE = b"the code of a function"
SHA256 = hashlib.sha256(CODE).hexdigest()


@scenario
async def test_a_worker_gives_the_server_what_it_has_fetched_and_nothing_else(bench: Bench) -> None:
    bench.server.blobs[SHA256] = CODE
    await bench.start(code={"encoding": "cloudpickle", "blob": {"sha256": SHA256}})
    del bench.server.blobs[SHA256]

    bench.server.say(bring_blobs=["0" * 64, SHA256])
    await bench.server.until(lambda: SHA256 in bench.server.blobs)

    assert bench.server.blobs == {SHA256: CODE}
    assert bench.server.downloads == [SHA256]
