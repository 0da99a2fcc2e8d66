"""What comes back when a function fails: its own exception, at its place in a map, or the reason it ended."""

import os

import offload

app = offload.App("errors")


@app.function()
def invert(x: int) -> float:
    """Return 1/x."""
    return 1 / x


@app.function()
def leave(code: int) -> None:
    """End the whole process, as a crashing library would."""
    os._exit(code)


@app.local_entrypoint()
def main() -> None:
    """Catch what the functions raise, and go on."""
    try:
        invert.remote(0)
    except ZeroDivisionError as error:
        print("as if it were local:", repr(error))

    for result in invert.map([1, 0, 4], return_exceptions=True):
        print("in a map:", repr(result))

    try:
        leave.remote(3)
    except offload.errors.ContainerExitError as error:
        print("a crash:", error)
