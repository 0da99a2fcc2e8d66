"""The test kit: a whole stack of one's own, in a directory that a test throws away."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


@contextlib.contextmanager
def local_stack(directory: str | os.PathLike[str]) -> Iterator[str]:
    """Run a server and a worker with their state in `directory`; calls of this process go there meanwhile.

    Yields the server's address. Both processes are gone when the block ends.
    """
    from offload.sdk.blocking import run
    from offload.sdk.client import Client
    from offload.sdk.config import read_config
    from offload.sdk.session import use_client
    from offload.sdk.stack import ensure_local_stack, stop_local_stack

    data_dir = Path(directory).absolute()
    config = replace(read_config(), server_url=None, token=None, data_dir=data_dir)
    address = ensure_local_stack(config)
    client = Client(lambda: ensure_local_stack(config), config.give_up_after_seconds)
    before = use_client(client)
    try:
        yield address.url.replace("ws", "http", 1).removesuffix("/link")
    finally:
        use_client(before)
        run(client.close())
        stop_local_stack(config)
