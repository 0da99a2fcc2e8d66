"""The application that `benchmarks.web` compares with: the same route, under plain uvicorn."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI(openapi_url=None)


@app.get("/")
async def item(item_id: int) -> dict[str, int]:
    return {"item": item_id}
