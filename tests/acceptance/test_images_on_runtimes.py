"""Functions with images on every runtime that has roots of its own, as a user runs them."""

from __future__ import annotations

import json

import pytest
from tests.support.acceptance import User

PROGRAM = """
import offload

def fetch(name):
    with open("/opt/model.txt", "w") as file:
        file.write(f"model of {name}")

image = (
    offload.Image.from_registry("BASE")
    .env({"GREETING": "hello"})
    .workdir("/srv/app")
    .run_commands("echo $GREETING ${#TOKEN} > greeting.txt", secrets={"TOKEN": "secret"})
    .run_function(fetch, args=("ann",))
    .add_local_file("copied.txt", "/opt/", copy=True)
    .add_local_file("attached.txt", "/data/sub/")
)
app = offload.App("on-runtimes", image=image)

@app.function(runtime="RUNTIME")
def look():
    import os, sibling
    texts = [open(path).read().strip() for path in (
        "greeting.txt", "/opt/model.txt", "/opt/copied.txt", "/data/sub/attached.txt")]
    failed = []
    for path in ("/x", "/opt/x", "/etc/passwd", "/run/x"):
        try:
            open(path, "w").close()
        except OSError:
            failed.append(path)
    for path in ("/tmp/x", os.path.expanduser("~/x"), "/dev/shm/x"):
        open(path, "w").close()
    return [*texts, os.getcwd(), os.environ["FROM_IMAGE"], "TOKEN" in os.environ, sibling.VALUE, failed]
"""


@pytest.fixture(params=["gvisor", "docker"])
def ann(request, tmp_path):
    someone = User(tmp_path)
    if request.param == "docker":
        someone.extra = {"DOCKER_HOST": f"unix://{request.getfixturevalue('docker_socket')}"}
    else:
        request.getfixturevalue("gvisor")
    someone.runtime = request.param
    yield someone
    someone.end()


def test_every_step_is_in_the_container_and_a_change_of_code_builds_nothing(ann, base):
    text = "import sibling\n" + PROGRAM.replace("BASE", base).replace("RUNTIME", ann.runtime)
    for name in ("copied", "attached"):
        ann.write(f"{name}.txt", name)
    ann.write("sibling.py", "VALUE = 41")
    file = ann.write("steps.py", text)

    first = ann.run("run", "--json", f"{file}::look", seconds=120)
    ann.write("sibling.py", "VALUE = 42")
    second = ann.run("run", "--json", f"{file}::look", seconds=120)

    assert first.returncode == 0, first.stdout + first.stderr
    assert json.loads(first.stdout)["result"] == [
        "hello 6", "model of ann", "copied", "attached", "/srv/app", "yes", False, 41,
        ["/x", "/opt/x", "/etc/passwd", "/run/x"],
    ]  # fmt: skip
    assert json.loads(second.stdout)["result"][-2] == 42
    assert "step" in first.stderr
    assert "step" not in second.stderr


def test_images_are_listed_and_pruned_where_they_are(ann, base):
    text = PROGRAM.replace("BASE", base).replace("RUNTIME", ann.runtime)
    for name in ("copied", "attached"):
        ann.write(f"{name}.txt", name)
    file = ann.write("steps.py", text)

    built = json.loads(ann.run("image", "build", file, "--json", seconds=120).stdout)
    listed = json.loads(ann.run("image", "ls", "--json").stdout)
    pruned = json.loads(ann.run("image", "prune", "--json").stdout)

    assert bool(built[0]["engine_image"]) == (ann.runtime == "docker")
    assert {image["builder"] for image in listed} == {
        "docker" if ann.runtime == "docker" else "rootfs"
    }
    assert pruned["freed_bytes"] > 1_000_000
    assert json.loads(ann.run("image", "ls", "--json").stdout) == []
