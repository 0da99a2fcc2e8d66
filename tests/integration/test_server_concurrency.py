"""What the server refuses of how containers share inputs, whichever client asks."""

from __future__ import annotations

import pytest
from tests.support.control_server import Server, call_from, definition, running

from offload.wire.status import Status, WireError


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"concurrency": {"max_inputs": 2, "target_inputs": 3}}, "target_inputs"),
        ({"concurrency": {"max_inputs": 2}, "single_use_containers": True}, "second input"),
        ({"batching": {"max_batch_size": 2}, "single_use_containers": True}, "second input"),
        ({"batching": {"max_batch_size": 2}, "is_generator": True}, "a generator"),
        ({"batching": {"max_batch_size": 2, "wait_seconds": 61}}, "waits for at most 60 s"),
        ({"batching": {"max_batch_size": 2, "wait_seconds": float("nan")}}, "waits for at most"),
        ({"concurrency": {"max_inputs": 10_001}}, "at most 10000 inputs"),
        (
            {"concurrency": {"max_inputs": 1000}, "batching": {"max_batch_size": 1000}},
            "at most 10000",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_the_function_named(server, fields, why) -> None:
    async def scenario(server: Server) -> WireError:
        made = definition()
        made.MergeFrom(type(made)(**fields))
        with pytest.raises(WireError) as refusal:
            await call_from(await server.connect(), made)
        return refusal.value

    error = server.play(scenario)

    assert error.status is Status.INVALID_ARGUMENT
    assert why in error.message
    assert definition().name in error.message
