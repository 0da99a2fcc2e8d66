"""One call of the model for many requests, and many slow requests in one container: `offload run examples/batching.py`."""

import asyncio
import os

import offload

app = offload.App("batching")


@app.function(max_containers=1)
@offload.batched(max_batch_size=16, wait_ms=200)
def score(words: list[str]) -> list[int | Exception]:
    """Score words, as a model would that looks at many of them at once."""
    print(f"a batch of {len(words)}" if len(words) > 1 else "a single word")
    return [sum(map(ord, word)) if word else ValueError("no word") for word in words]


@app.function(max_containers=1)
@offload.concurrent(max_inputs=50)
async def fetch(page: int) -> tuple[int, int]:
    """Wait for a page, as for somebody's server."""
    await asyncio.sleep(0.5)
    return page, os.getpid()


@app.function(single_use_containers=True)
def count_calls() -> int:
    """Count the calls that this container has seen."""
    seen.append(1)
    return len(seen)


seen: list[int] = []


@app.local_entrypoint()
def main() -> None:
    """Call each of them."""
    words = ["a", "batch", "", "of", "words"]
    for word, result in zip(words, score.map(words, return_exceptions=True), strict=True):
        print(f"{word!r}: {result!r}")

    pages = list(fetch.map(range(50)))
    print(len(pages), "pages by", len({process for _, process in pages}), "process")

    print("calls seen by fresh containers:", [count_calls.remote() for _ in range(3)])
