"""`offload volume` as a person uses it."""

from __future__ import annotations

import json

import pytest
from tests.support.acceptance import EXAMPLES, run_on_terminal

SHOWN = """\
words: [9, 7]
most common: [('the', 4), ('fox', 2), ('dog', 2)]
counts/one.txt.json file
counts/two.txt.json file
removed: ['texts']
restored: ['counts', 'texts']
"""


@pytest.fixture
def folder(user):
    (user.folder / "in" / "sub").mkdir(parents=True)
    for name in ("a.txt", "b.csv", "sub/c.csv"):
        (user.folder / "in" / name).write_text(f"this is {name}\n")
    return user.folder


def say(user, *words, code=0):
    """Run a command of volumes with --json; return what it printed."""
    done = user.run("volume", *words, "--json")
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def paths(user, *words):
    return [entry["path"] for entry in say(user, "ls", *words)["entries"]]


def test_files_go_up_come_back_and_are_changed_by_patterns(user, folder):
    stored = say(user, "put", "v", "in", "/up")
    again = say(user, "put", "v", "in/*.csv", "/some/")

    assert (stored["files"], stored["moved_bytes"]) == (3, 46)
    assert (again["files"], again["moved_bytes"]) == (1, 0)
    assert paths(user, "v", "-r", "/up") == ["up/a.txt", "up/b.csv", "up/sub", "up/sub/c.csv"]
    assert paths(user, "v", "up/**/*.csv") == ["up/b.csv", "up/sub/c.csv"]

    say(user, "get", "v", "/up", "out")
    assert (folder / "out/up/sub/c.csv").read_text() == "this is sub/c.csv\n"
    say(user, "get", "v", "up/**/*.csv", "some")
    assert sorted(str(p.relative_to(folder)) for p in (folder / "some").rglob("*.csv")) == [
        "some/b.csv", "some/sub/c.csv",
    ]  # fmt: skip
    assert user.run("volume", "get", "v", "up/a.txt", "-").stdout == "this is a.txt\n"

    say(user, "cp", "v", "up/*.csv", "up/a.txt", "copies")
    say(user, "rm", "v", "up/*", "-r")
    assert paths(user, "v", "-r") == [
        "copies", "copies/a.txt", "copies/b.csv", "some", "some/b.csv", "up",
    ]  # fmt: skip


def test_nothing_is_overwritten_unasked(user, folder):
    say(user, "put", "v", "in")

    up = say(user, "put", "v", "in", code=2)
    (folder / "a.txt").write_text("mine")
    down = say(user, "get", "v", "a.txt", code=2)

    assert "a.txt and 2 more are in the volume already" in up["error"]["message"]
    assert "is there already" in down["error"]["message"]
    assert (folder / "a.txt").read_text() == "mine"
    over_folder = say(user, "put", "v", "in/a.txt", "sub", code=2)
    below_file = say(user, "put", "v", "in", "a.txt", code=2)
    assert "sub is a folder in the volume: write 'sub/'" in over_folder["error"]["message"]
    assert "a.txt is in the volume already" in below_file["error"]["message"]
    assert paths(user, "v", "-r") == ["a.txt", "b.csv", "sub", "sub/c.csv"]

    say(user, "put", "v", "in/a.txt", "sub/")
    assert paths(user, "v", "sub") == ["sub/a.txt", "sub/c.csv"]
    say(user, "put", "v", "in", "--force")
    say(user, "get", "v", "a.txt", "--force")
    assert (folder / "a.txt").read_text() == "this is a.txt\n"


def test_a_volume_is_made_renamed_restored_and_deleted(user, folder):
    made = say(user, "create", "v")
    say(user, "put", "v", "in")
    say(user, "rm", "v", "a.txt")
    first = say(user, "snapshots", "v")["snapshots"][-1]

    say(user, "restore", "v", str(first["id"]))
    say(user, "rename", "v", "w")

    assert "a.txt" in paths(user, "w")
    [listed] = say(user, "ls")["volumes"]
    assert (listed["name"], listed["object_id"]) == ("w", made["object_id"])
    say(user, "create", "w", "--env", "prod")
    say(user, "delete", "w", "-y")
    assert say(user, "ls") == {"volumes": []}
    assert [each["name"] for each in say(user, "ls", "--env", "prod")["volumes"]] == ["w"]


@pytest.mark.parametrize(
    "words", [("ls", "gone"), ("get", "gone", "x"), ("rm", "v", "gone"), ("rm", "v", "g*"), ("put", "v", "gone")]
)  # fmt: skip
def test_what_is_not_there_is_not_found(user, words):
    user.run("volume", "create", "v")

    error = say(user, *words, code=4)["error"]

    assert "gone" in error["message"] or "g*" in error["message"]


def test_what_is_said_names_the_next_step_of_the_command_line(user, folder):
    none = user.run("volume", "ls")
    user.run("volume", "create", "v")
    empty = user.run("volume", "ls", "v")
    say(user, "put", "v", "in", "/up")

    kept = user.run("volume", "rm", "v", "up")
    unasked = user.run("volume", "delete", "v")
    missing = user.run("volume", "get", "v", "gone", "-")
    several = user.run("volume", "get", "v", "up/*.txt", "-")

    assert none.stdout == "There is no volume in environment 'main'.\n"
    assert empty.stdout == "There is nothing in v.\n"
    assert (kept.returncode, "--recursive" in kept.stderr) == (2, True)
    assert (unasked.returncode, "--yes" in unasked.stderr) == (2, True)
    assert (missing.returncode, "no 'gone' in volume 'v'" in missing.stderr) == (4, True)
    assert several.stdout == "this is a.txt\n"


def test_who_has_read_enough_of_a_file_ends_the_command_quietly(user, folder):
    (folder / "large").write_bytes(b"x" * 5_000_000)
    say(user, "put", "v", "large")

    getting = user.start("volume", "get", "v", "large", "-")
    assert getting.stdout.read(10) == "x" * 10
    getting.stdout.close()

    assert getting.wait(timeout=60) == 141
    assert getting.stderr.read() == ""


@pytest.mark.parametrize("path", ["../out", "/a/../../b"])
def test_no_path_leads_out_of_a_volume(user, folder, path):
    error = say(user, "put", "v", "in/a.txt", path, code=2)["error"]

    assert "leaves the volume" in error["message"]


def test_a_terminal_shows_how_far_it_is(user, folder):
    (folder / "large").write_bytes(b"x" * 5_000_000)

    code, shown = run_on_terminal(user, "volume", "put", "v", "large")

    assert code == 0
    assert "put large" in shown
    assert "5.0/5.0 MB" in shown


def test_the_example_prints_what_it_says(user):
    done = user.run("run", str(EXAMPLES / "volumes.py"))

    assert done.returncode == 0, done.stderr
    assert done.stdout == SHOWN
