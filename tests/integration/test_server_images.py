"""What a server knows of the images of functions: the blobs they need, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.control_server import Server, call_from, definition, running, working

from offload.control.stores.sqlite import SqliteStore
from offload.wire.gen import apps_pb2, cluster_pb2, common_pb2, images_pb2

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


def test_a_function_with_an_image_for_elsewhere_runs_on_any_machine_and_one_without_on_its_own(
    tmp_path: Path,
) -> None:
    elsewhere, at_home = definition("elsewhere"), definition("at_home")
    for one in (elsewhere, at_home):
        one.local_image.host_id = "host-of-ann"
    elsewhere.image_elsewhere.steps.add(kind="debian_slim", content=blob(STEP))

    async def scenario(server: Server) -> tuple[str, str]:
        async with working(await server.connect()):
            far = await call_from(await server.connect(), elsewhere)
            near = await call_from(await server.connect(), at_home)
            ran = await far.run("fc-1", "x")
            await near.submit("fc-2", 1)
            status = await near.link.unary(
                "offload.v1.Cluster/Status",
                cluster_pb2.StatusRequest(pending_limit=10),
                cluster_pb2.StatusReply,
            )
            return ran.input_id, status.pending[0].reason

    with running(tmp_path) as server:
        input_id, reason = server.play(scenario)

    store = SqliteStore(tmp_path / "offload.db")
    in_use = store.blobs_in_use([STEP])
    store.close()
    assert input_id == "in-1-0"
    assert reason == "no worker on the caller's machine (host host…)"
    assert in_use == {STEP}


@pytest.mark.parametrize(
    ("host_id", "is_served"), [("host-1", True), ("host-2", False), ("", False)]
)
def test_a_caller_is_told_whether_a_worker_is_on_its_machine(
    tmp_path: Path, host_id: str, is_served: bool
) -> None:
    async def scenario(server: Server) -> bool:
        async with working(await server.connect()):
            link = await server.connect()
            request = apps_pb2.CreateAppRequest(name="app", host_id=host_id)
            reply = await link.unary("offload.v1.Apps/CreateApp", request, apps_pb2.CreateAppReply)
            return reply.has_worker_on_host

    with running(tmp_path) as server:
        assert server.play(scenario) == is_served
