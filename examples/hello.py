"""The smallest program that shows what there is: a call here, a call away, a map, and a stream."""

from collections.abc import Iterator

import offload

app = offload.App("hello")


@app.function()
def square(x: int) -> int:
    """Return x squared."""
    print(f"squaring {x}")
    return x * x


@app.function()
def countdown(start: int) -> Iterator[int]:
    """Yield the numbers from `start` down to 1."""
    yield from range(start, 0, -1)


@app.local_entrypoint()
def main(x: int = 5) -> None:
    """Square a number here and in a container, ten numbers in parallel, and count down."""
    print("square.local: ", square.local(x))
    print("square.remote:", square.remote(x))
    print("square.map:   ", list(square.map(range(10))))
    for number in countdown.remote_gen(3):
        print("countdown:    ", number)
