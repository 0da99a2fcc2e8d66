"""The endpoints that `benchmarks.web` asks: one that is warm, one that is always cold, and one whose containers come and go."""

from __future__ import annotations

import os

import offload

app = offload.App("bench")


@app.function(min_containers=1, max_containers=1)
@offload.concurrent(max_inputs=64)
@offload.fastapi_endpoint()
async def warm(item_id: int) -> dict[str, int]:
    return {"item": item_id}


@app.function(single_use_containers=True, cpu=0.1)
@offload.fastapi_endpoint()
async def cold(item_id: int) -> dict[str, int]:
    return {"item": item_id, "parent": os.getppid()}


@app.function(
    scaledown_window=0.1, cpu=0.5, max_containers=3, env={"ROUND": os.environ.get("ROUND", "1")}
)
@offload.fastapi_endpoint()
async def busy(item_id: int) -> dict[str, int]:
    return {"item": item_id}
