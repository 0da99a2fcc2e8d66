"""What a server knows of the images of functions: the blobs they need, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.control_server import Server, call_from, definition, running

from offload.control.stores.sqlite import SqliteStore
from offload.wire.gen import common_pb2, images_pb2

if TYPE_CHECKING:
    from pathlib import Path

STEP, ATTACHED, STRANGE = (digit * 64 for digit in "abc")


def blob(sha256: str) -> common_pb2.Payload:
    return common_pb2.Payload(
        encoding="tar", blob=common_pb2.BlobRef(sha256=sha256, size_bytes=70_000)
    )


def test_what_an_image_takes_along_is_in_use_while_its_function_is_known(tmp_path: Path) -> None:
    image = images_pb2.Image(
        steps=[
            images_pb2.ImageStep(kind="registry", arguments=["python:3.11"]),
            images_pb2.ImageStep(kind="add_files", content=blob(STEP)),
        ],
        attached=[images_pb2.AttachedFiles(content=blob(ATTACHED), sha256=ATTACHED)],
    )

    async def scenario(server: Server) -> None:
        function = definition()
        function.image.CopyFrom(image)
        await call_from(await server.connect(), function)

    with running(tmp_path) as server:
        server.play(scenario)

    store = SqliteStore(tmp_path / "offload.db")
    in_use = store.blobs_in_use([STEP, ATTACHED, STRANGE])
    store.close()
    assert in_use == {STEP, ATTACHED}
