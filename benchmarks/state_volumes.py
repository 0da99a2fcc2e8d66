"""The volume part of `make bench NAME=state`: how fast files go up and come back, and what a commit of many small ones takes.

What putting is compared with is `cp` of the same file to the same disk, and its SHA-256 after that, in the same rounds: the
least that anything must do that keeps a file under its checksum. `cp` waits for no disk; putting does.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

import offload
from benchmarks.harness import Figures, own_stack, rounds, timed
from offload.sdk.blocking import run
from offload.sdk.volume_files import sources_of_file
from offload.sdk.volume_moves import store

SIZE_BYTES = 512 * 1024 * 1024
SMALL_FILES = 10_000
SMALL_BYTES = 1_000
ROUNDS = 3

app = offload.App("bench-volumes")
volume = offload.Volume.ephemeral(app=app)


@app.function(volumes={"/data": volume}, memory=2048, max_containers=1, scaledown_window=120)
def commit_small(number: int) -> float:
    """Write small files into a new folder, and return how long committing them took."""
    folder = Path("/data", f"small-{number}")
    folder.mkdir()
    for index in range(SMALL_FILES):
        (folder / f"{index}.bin").write_bytes(os.urandom(SMALL_BYTES))
    began = time.perf_counter()
    volume.commit()
    return time.perf_counter() - began


def measure(disk: Path) -> Figures:
    """Return the figures; `disk` is a folder on the server's disk."""
    with app.run(show_output=False), tempfile.TemporaryDirectory(dir=disk) as scratch:
        source = Path(scratch, "source")
        seen = rounds(
            {
                "cp and SHA-256": lambda: _copy(source, Path(scratch, "copy")),
                "volume": lambda: _put_and_get(source),
                "small files": _commit,
            },
            ROUNDS,
        )
        moved = _moved_after_a_change(source)
    return {
        "volume_put_mb_per_s": seen["volume"]["put_mb_per_s"],
        "volume_get_mb_per_s": seen["volume"]["get_mb_per_s"],
        "cp_and_sha256_mb_per_s": seen["cp and SHA-256"]["mb_per_s"],
        "volume_put_share_of_cp": (
            seen["volume"]["put_mb_per_s"] / seen["cp and SHA-256"]["mb_per_s"]
        ),
        "commit_10k_small_files_s": seen["small files"]["seconds"],
        "moved_share_after_1_percent_changed": moved,
    }


def show(figures: Figures) -> None:
    """Print the figures for people."""
    print("\nVolumes beside cp and SHA-256")
    for name, value in figures.items():
        print(f"{name:<40}{value:>12,.3f}")


def _copy(source: Path, copy: Path) -> Figures:
    _fill(source)
    copying = timed(lambda: subprocess.run(["cp", str(source), str(copy)], check=True))
    hashing = timed(lambda: _hash(copy))
    copy.unlink()
    return {"mb_per_s": _rate(copying + hashing)}


def _put_and_get(source: Path) -> Figures:
    putting = timed(lambda: volume.put_file(source, "large"))
    getting = timed(lambda: _read("large"))
    return {"put_mb_per_s": _rate(putting), "get_mb_per_s": _rate(getting)}


def _commit() -> Figures:
    return {"seconds": commit_small.remote(time.time_ns())}


def _moved_after_a_change(source: Path) -> float:
    """Insert one percent in the middle; return what share of the file then had to be moved."""
    data = source.read_bytes()
    middle = SIZE_BYTES // 2
    source.write_bytes(data[:middle] + os.urandom(SIZE_BYTES // 100) + data[middle:])
    sources = sources_of_file(source, "large")
    return run(store(volume, sources, "put_file", force=True)) / SIZE_BYTES


def _fill(source: Path) -> None:
    """Write a file that nobody has: what is there already would not be moved."""
    with source.open("wb") as file:
        for _ in range(SIZE_BYTES // (1 << 24)):
            file.write(os.urandom(1 << 24))


def _read(path: str) -> None:
    for _ in volume.read_file(path):
        pass


def _hash(path: Path) -> None:
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def _rate(seconds: float) -> float:
    return SIZE_BYTES / 1e6 / seconds


if __name__ == "__main__":
    with own_stack() as data_dir:
        show(measure(data_dir))
