"""Checked by mypy, never run."""

import offload

app = offload.App("types")


@app.function()
def square(x: int) -> int:
    return x * x


square.remote("x")
app.function(memry=4)
