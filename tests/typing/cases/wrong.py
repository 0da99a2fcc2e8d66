"""Checked by mypy, never run."""

import offload

app = offload.App("types")


@app.function()
def square(x: int) -> int:
    return x * x


square.remote("x")
app.function(memry=4)
app.function(idempotency_key="k")
square.with_options(after=3)
square.with_options(priority="high")
square.update_autoscaler(cpu=3)
shared = offload.Dict.from_name("shared")
shared.put("a")
offload.Queue.from_name(3)
