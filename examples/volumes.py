"""A volume shared by functions and by this program: words are counted in parallel, and the counts come back as a file.

Run it with `offload run examples/volumes.py`.
"""

import io
import json
from collections import Counter
from pathlib import Path

import offload

app = offload.App("volumes")
volume = offload.Volume.ephemeral(app=app)

TEXTS = {
    "one.txt": "the quick brown fox jumps over the lazy dog",
    "two.txt": "the dog sleeps and the fox runs",
}


@app.function(volumes={"/data": volume})
def count(name: str) -> int:
    """Count the words of one text; what is written is there for whoever has the result."""
    words = Counter(Path("/data/texts", name).read_text().split())
    counts = Path("/data/counts")
    counts.mkdir(exist_ok=True)
    (counts / f"{name}.json").write_text(json.dumps(words))
    return words.total()


@app.function(volumes={"/data": volume.read_only()})
def add_up() -> list[tuple[str, int]]:
    """Add up what all of them have counted."""
    total: Counter[str] = Counter()
    for file in sorted(Path("/data/counts").iterdir()):
        total.update(json.loads(file.read_text()))
    return total.most_common(3)


@app.local_entrypoint()
def main() -> None:
    """Store the texts, have them counted, and look at what has become of the volume."""
    with volume.batch_upload() as batch:
        for name, text in TEXTS.items():
            batch.put_file(io.BytesIO(text.encode()), f"texts/{name}")

    print("words:", list(count.map(sorted(TEXTS))))
    print("most common:", add_up.remote())
    for entry in volume.iterdir("counts"):
        print(entry.path, entry.type)

    before = volume.snapshots()[0]
    volume.remove_file("counts", recursive=True)
    print("removed:", [entry.path for entry in volume.iterdir(recursive=False)])
    volume.restore(before)
    print("restored:", [entry.path for entry in volume.iterdir(recursive=False)])
