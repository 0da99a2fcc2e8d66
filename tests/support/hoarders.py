"""Functions that take more memory than they may, through the SDK and a whole stack: prints one JSON object of findings."""

# ruff: noqa: T201, PLC0415

from __future__ import annotations

import json
import os
import sys

import offload
from offload import testing

app = offload.App("hoarders")

_LIMIT_MIB = 256
_GUILTY = 5
_WAYS = ("little by little", "at once", "in a child")
_IDENTITY: dict[str, str] = {}


@app.function(memory=_LIMIT_MIB, cpu=0.1, max_containers=3, retries=0)
def work(number, how):
    import subprocess

    if number != _GUILTY:
        return number
    if how == "in a child":
        subprocess.run([sys.executable, "-c", f"bytearray({_LIMIT_MIB} << 20)"], check=True)
    held = [bytearray(_LIMIT_MIB << 20)] if how == "at once" else []
    while True:
        held.append(bytearray(os.urandom(1 << 20)))


@app.function(cpu=0.1, max_containers=1)
def stand_by():
    """Return what only this process knows, so that a second call tells whether it still lives."""
    return _IDENTITY.setdefault("mine", os.urandom(8).hex())


def main(directory: str) -> None:
    found = {}
    with testing.local_stack(f"{directory}/data"), app.run():
        for how in _WAYS:
            bystander = stand_by.remote()
            results = list(work.starmap([(n, how) for n in range(9)], return_exceptions=True))
            guilty = results.pop(_GUILTY)
            found[how] = {
                "innocent": results,
                "bystander_lives": stand_by.remote() == bystander,
                "type": type(guilty).__name__,
                "is_memory_error": isinstance(guilty, MemoryError),
                "said": str(guilty),
            }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
