"""The examples of dicts and queues, run as a user does, with their output compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.acceptance import User

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

LOCK = """\
workers that built it: 1
the builder is one of them: True
the index: {'dict': 4, 'queue': 5, 'volume': 6}
"""
WORKERS = """\
done by all workers together: 12
1 has divisors []
2 is prime
3 is prime
4 has divisors [2]
5 is prime
6 has divisors [2, 3]
7 is prime
8 has divisors [2, 4]
9 has divisors [3]
10 has divisors [2, 5]
11 is prime
12 has divisors [2, 3, 4, 6]
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    someone = User(tmp_path_factory.mktemp("objects"))
    yield someone
    someone.end()


@pytest.mark.parametrize(("name", "said"), [("dict_lock.py", LOCK), ("queue_workers.py", WORKERS)])
def test_an_example_says_what_it_should(user, name, said):
    done = user.run("run", str(EXAMPLES / name), seconds=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout == said


def test_an_environment_is_chosen_where_a_program_is_run(user):
    program = user.write(
        "there.py",
        """
import offload

app = offload.App("there")

@app.function(cpu=0.25, memory=128)
def note():
    offload.Dict.from_name("notes", create_if_missing=True)["from"] = "inside"
""",
    )

    done = user.run("run", "--env", "prod", f"{program}::note", seconds=60)
    there = user.run("dict", "get", "notes", "from", "--env", "prod")
    here = user.run("dict", "get", "notes", "from")

    assert done.returncode == 0, done.stderr
    assert (there.returncode, there.stdout) == (0, "inside\n")
    assert here.returncode == 4


def test_what_is_kept_is_there_for_commands_when_the_stack_has_ended(user):
    user.run("dict", "create", "kept")
    user.run("dict", "put", "kept", "key", "1")
    user.run("down")

    got = user.run("dict", "get", "kept", "key")

    assert (got.returncode, got.stdout) == (0, "1\n")
    assert "Started" in got.stderr
