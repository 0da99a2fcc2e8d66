"""Functions with images, as a user runs them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.support.acceptance import User, wait_gone


@pytest.fixture(scope="module")
def ann(tmp_path_factory):
    someone = User(tmp_path_factory.mktemp("ann"))
    yield someone
    someone.end()


def run(someone, name, text, *words, function="", seconds=120):
    file = someone.write(name, text)
    return someone.run("run", *words, f"{file}::{function}" if function else file, seconds=seconds)


STEPS = """
import offload

def fetch(name):
    with open("/opt/model.txt", "w") as file:
        file.write(f"model of {name}")

image = (
    offload.Image.from_registry("BASE")
    .env({"GREETING": "hello"})
    .workdir("/srv/app")
    .run_commands("echo $GREETING > greeting.txt")
    .run_function(fetch, args=("ann",))
    .add_local_file("copied.txt", "/opt/", copy=True)
    .add_local_dir("data", "/data", ignore=["*.log"])
)
with image.imports():
    import only_there

app = offload.App("steps", image=image)

@app.function()
def look():
    import os, sibling
    texts = [open(path).read().strip() for path in ("greeting.txt", "/opt/model.txt", "/opt/copied.txt")]
    return [*texts, os.getcwd(), os.environ["FROM_IMAGE"], os.listdir("/data"), sibling.VALUE, os.getuid()]

@app.function()
def missing():
    return only_there.value
"""


def test_every_step_is_in_the_container(ann, base):
    ann.write("copied.txt", "copied")
    ann.write("sibling.py", "VALUE = 41")
    (ann.folder / "data").mkdir()
    for name in ("a.txt", "b.log"):
        (ann.folder / "data" / name).write_text(name)

    done = run(
        ann, "steps.py", "import sibling\n" + STEPS.replace("BASE", base), "--json", function="look"
    )

    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["result"] == [
        "hello", "model of ann", "copied", "/srv/app", "yes", ["a.txt"], 41, 1000,
    ]  # fmt: skip


def test_a_change_of_code_builds_nothing(ann, base):
    text = "import sibling\n" + STEPS.replace("BASE", base)
    ann.write("sibling.py", "VALUE = 42")

    done = run(ann, "steps.py", text.replace("os.getuid()", "'changed'"), "--json", function="look")

    assert json.loads(done.stdout)["result"][-2:] == [42, "changed"]
    assert "step" not in done.stderr


def test_a_module_that_the_image_lacks_is_named(ann, base):
    done = run(
        ann, "steps.py", "import sibling\n" + STEPS.replace("BASE", base), function="missing"
    )

    assert done.returncode != 0
    assert "only_there" in done.stderr
    assert '.pip_install("only_there")' in done.stderr


FAILS = """
import offload

app = offload.App("fails", image=offload.Image.from_registry("BASE").run_commands("echo so far", "echo no luck; exit 9"))

@app.function(max_containers=4)
def work(x):
    return x

@app.local_entrypoint()
def main():
    print(list(work.map(range(8), return_exceptions=True)))
"""


def test_a_step_that_fails_is_shown_at_once_with_its_output(ann, base):
    done = run(ann, "fails.py", FAILS.replace("BASE", base))

    assert "'echo no luck; exit 9' ended with exit code 9: no luck" in done.stdout
    assert "so far" in done.stderr
    assert done.stderr.count("] no luck") == 1  # not tried again and again


WAITS = """
import offload

app = offload.App("waits", image=offload.Image.from_registry("BASE").run_commands("touch /opt/half; sleep 600 # MARK"))

@app.function()
def work():
    return "worked"
"""


def sleepers(mark):
    """Return the processes whose last word, a shell's script, holds a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                if mark.encode() in words[-1]:
                    found.append(int(entry.name))
    return found


def test_a_worker_that_is_killed_while_it_builds_leaves_nothing_half_made(ann, base):
    text = WAITS.replace("BASE", base).replace("MARK", "killed-in-its-build")
    file = ann.write("waits.py", text)
    program = ann.start("run", file)
    reason = _pending_reason(ann)
    building = sleepers("killed-in-its-build")

    os.kill(ann.stack()["worker_pid"], signal.SIGKILL)
    gone = wait_gone(building)
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=60)
    again = run(ann, "waits.py", text.replace("sleep 600", "test ! -e /opt/quarter; sleep 0"))

    assert "image building, step 2 of 2: run_commands" in reason
    assert building
    assert gone == []
    assert again.returncode == 0, again.stderr
    assert again.stdout == "worked\n"
    images = next(ann.data_dir.glob("workers/*/images"))
    assert list((images / "making").iterdir()) == []


def _pending_reason(someone):
    for _ in range(200):
        for pending in someone.status()["pending"]:
            if "run_commands" in str(pending["reason"]):
                return str(pending["reason"])
    raise AssertionError("the build did not begin")


def test_images_are_listed_looked_into_and_pruned(ann, base):
    file = ann.write(
        "cli.py",
        f'import offload\napp = offload.App("cli", image=offload.Image.from_registry("{base}").env({{"A": "1"}}))\n'
        "@app.function()\ndef f():\n    return 1\n",
    )

    built = ann.run("image", "build", file, "--json")
    shell = ann.run("image", "shell", file, "--", "/bin/sh", "-c", "echo $A; id -u; touch /changed")
    listed = json.loads(ann.run("image", "ls", "--json").stdout)
    ann.run("down")
    pruned = ann.run("image", "prune")

    assert json.loads(built.stdout)[0]["function"] == "f"
    assert shell.stdout.splitlines() == ["1", "0"]
    assert "env A=1" in [image["last_step"] for image in listed]
    assert "Removed" in pruned.stdout
    assert ann.run("image", "ls").stdout == "No image has been built here.\n"


def test_a_program_without_images_is_told_so(ann):
    file = ann.write(
        "none.py", 'import offload\napp = offload.App("n")\n@app.function()\ndef f(): return 1\n'
    )

    done = ann.run("image", "build", file)

    assert done.returncode == 4
    assert "has no function with an image" in done.stderr


WALLS = """
import offload

app = offload.App("walls", image=offload.Image.from_registry("BASE"))

@app.function()
def attempt():
    import os
    failed = []
    for path in ("/x", "/usr/bin/x", "/etc/passwd", "/proc/sys/kernel/core_pattern", "/sys/x", "/run/x", "/dev/x"):
        try:
            open(path, "w").close()
        except OSError as error:
            failed.append(path)
    for path in ("/tmp/x", os.path.expanduser("~/x"), "/dev/shm/x"):
        open(path, "w").close()
    hosts = [path for path in (HOST) if os.path.exists(path)]
    return failed, hosts, os.getuid(), os.listdir("/run/offload"), sorted(os.environ)
"""


def test_a_container_with_an_image_sees_nothing_of_the_host(ann, base):
    host = [str(Path(__file__)), str(ann.data_dir), sys.prefix, str(ann.folder)]

    done = run(
        ann,
        "walls.py",
        WALLS.replace("BASE", base).replace("HOST", repr(host)),
        "--json",
        function="attempt",
    )

    assert done.returncode == 0, done.stdout
    failed, hosts, user, run_folder, names = json.loads(done.stdout)["result"]
    assert len(failed) == 7
    assert (hosts, user, run_folder) == ([], 1000, ["guest"])
    assert not any("TOKEN" in name or "SERVER" in name for name in names)


SHARED = """
import offload

app = offload.App("shared", image=offload.Image.from_registry("BASE"))
notes = offload.Dict.from_name("notes", create_if_missing=True)

@app.function(cpu=0.1, memory=128)
def double(value):
    return 2 * value

@app.function(cpu=0.1, memory=128)
def use():
    import sys
    notes["from the image"] = bytes(100_000)
    with offload.Queue.ephemeral() as jobs:
        jobs.put_many([1, 2])
        return jobs.get_many(2), double.remote(21), len(notes["from the image"]), "uvloop" in sys.modules
"""


def test_an_image_without_offload_uses_dicts_queues_and_other_functions(base, ann):
    done = run(ann, "shared.py", SHARED.replace("BASE", base), "--json", function="use")

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["result"] == [[1, 2], 42, 100_000, False]
