"""Containers that do something once although all of them want to: a lock in a dict that they share."""

import offload

app = offload.App("dict-lock")
small = {"cpu": 0.25, "memory": 128}


@app.function(**small)
def build_once(worker: int, shared: offload.Dict) -> bool:
    """Build the index unless another worker has taken that upon it; return whether it was this one."""
    if not shared.put("builder", worker, skip_if_exists=True):
        return False
    shared["index"] = {word: len(word) for word in ("dict", "queue", "volume")}
    return True


@app.local_entrypoint()
def main(workers: int = 4) -> None:
    """Start workers that all want to build the same index."""
    with offload.Dict.ephemeral() as shared:
        built = list(build_once.map(range(workers), [shared] * workers))
        print("workers that built it:", built.count(True))
        print("the builder is one of them:", built[shared["builder"]])
        print("the index:", shared["index"])
