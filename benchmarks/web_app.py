"""The endpoints that `benchmarks.web` asks: one that is warm, one that is always cold, and one whose containers come and go."""

from __future__ import annotations

import os

import offload

app = offload.App("bench")


def _application() -> object:
    from fastapi import FastAPI  # noqa: PLC0415 - it is where this runs

    made = FastAPI(openapi_url=None)

    @made.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"item": item_id}

    return made


@app.function(min_containers=1, max_containers=1)
@offload.concurrent(max_inputs=64)
@offload.asgi_app()
def warm() -> object:
    return _application()


@app.function(single_use_containers=True, cpu=0.1)
@offload.asgi_app()
def cold() -> object:
    return _application()


@app.function(
    scaledown_window=0.1, cpu=0.5, max_containers=3, env={"ROUND": os.environ.get("ROUND", "1")}
)
@offload.asgi_app()
def busy() -> object:
    return _application()
