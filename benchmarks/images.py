"""Images: a layer of numpy and pandas from a warm cache, and from an edited script to its result."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import offload
from benchmarks.harness import own_stack, quantile, report, timed
from offload.sdk.client.images import describe, send_inline
from offload.sdk.image_choice import ChosenImage
from offload.worker.config import WorkerConfig
from offload.worker.core.content import Content
from offload.worker.images.builder import RootfsBuilder
from offload.worker.link.translate import read_image
from offload.worker.main import make_builder

PROGRAM = """
import offload

app = offload.App("bench-images", image=offload.Image.debian_slim().pip_install("numpy", "pandas"))

@app.function({options})
def answer():
    return {number}

@app.local_entrypoint()
def main():
    print(answer.remote())
"""


class Silent:
    """See `BuildListener`."""

    audience = "nobody"

    def on_progress(self, text: str) -> None:
        """See `BuildListener`."""

    def on_build_line(self, text: str) -> None:
        """See `BuildListener`."""


async def no_blob(content: Content) -> None:
    """Everything is inline."""
    raise OSError(f"{content.sha256} is nowhere")


def build(builder: RootfsBuilder, image: offload.Image) -> None:
    """Build an image that is not there yet, or find that it is."""

    async def work() -> None:
        message = await describe(ChosenImage(image, (), is_by_value=True), send_inline)
        (await builder.build(read_image(message), Silent())).release()

    asyncio.run(work())


def pip_layer(builder: RootfsBuilder, number: int) -> float:
    """Return the seconds that the layer takes in an image which has no such layer, with its wheels in the cache."""
    before = offload.Image.debian_slim().env({"ROUND": str(number)})
    build(builder, before)
    image = before.pip_install("numpy", "pandas")
    return timed(lambda: build(builder, image))


def edited_run(folder: Path, number: int, options: str) -> float:
    """Return the seconds of a whole `offload run` of a script that has just been changed."""
    script = folder / "script.py"
    script.write_text(PROGRAM.format(number=number, options=options))
    command = [sys.executable, "-m", "offload", "run", str(script)]
    seen: list[str] = []

    def run() -> None:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seen.append(done.stdout.strip())

    seconds = timed(run)
    if seen != [str(number)]:
        raise RuntimeError(f"the script said {seen}, not {number}")
    return seconds


def main() -> None:
    """Measure in turns and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    layers: list[float] = []
    runs: dict[str, list[float]] = {"": [], "image=offload.Image.local()": []}
    with own_stack() as data_dir, tempfile.TemporaryDirectory(prefix="offload-bench-") as scratch:
        folder = Path(scratch)
        print("building the base and filling the cache …", file=sys.stderr, flush=True)
        cold = edited_run(folder, 0, "")
        config = WorkerConfig.from_environment(data_dir)
        config = dataclasses.replace(config, data_dir=data_dir / "workers" / config.name)
        builder = make_builder(config, no_blob)
        for number in range(1, options.rounds + 1):
            layers.append(pip_layer(builder, number))
            for choice, seconds in runs.items():
                seconds.append(edited_run(folder, number, choice))
    image, local = (quantile(seconds, 0.5) for seconds in runs.values())
    rows = {
        "numpy and pandas, warm": {
            "p50 s": f"{quantile(layers, 0.5):.3f}",
            "max s": f"{max(layers):.3f}",
        },
        "edited script, image": {"p50 s": f"{image:.3f}", "max s": f"{max(runs['']):.3f}"},
        "edited script, local": {"p50 s": f"{local:.3f}"},
        "everything for the first time": {"p50 s": f"{cold:.1f}"},
    }
    report(
        f"Images ({options.rounds} rounds)",
        rows,
        {
            "pip_layer_warm_s": round(quantile(layers, 0.5), 3),
            "code_change_to_result_s": round(image, 3),
            "code_change_local_s": round(local, 3),
            "first_build_s": round(cold, 1),
        },
    )


if __name__ == "__main__":
    main()
