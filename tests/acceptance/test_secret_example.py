"""Secrets as a user has them: the example and the commands, with all that they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.acceptance import User

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "secret_login.py"
VALUE = "correct-horse-battery-staple"
SAID = """\
[sign #0] signing 'hello' with ***
signature: a40460d9975174bd
refused: **************************** is not accepted
another function has it: False
"""
PROGRAM = """
import os
import offload

app = offload.App("kept")
db = offload.Secret.from_name("db", required_keys=["PASSWORD"])

@app.function(cpu=0.25, memory=128, secrets=[db])
def show():
    print("it is", os.environ["PASSWORD"])
    return len(os.environ["PASSWORD"])
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    someone = User(tmp_path_factory.mktemp("secrets"))
    yield someone
    someone.end()


def test_the_example_says_what_it_should_and_never_the_value(user):
    done = user.run("run", str(EXAMPLE), seconds=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout == SAID
    assert VALUE not in done.stdout + done.stderr


def test_a_secret_of_the_command_line_reaches_the_functions_of_its_environment(user):
    program = user.write("kept.py", PROGRAM)
    file = user.write("db.env", f"PASSWORD={VALUE}\n")
    user.run("up", seconds=60)

    made = user.run("secret", "create", "db", "--from-dotenv", file, "--env", "prod", seconds=60)
    there = user.run("run", "--env", "prod", f"{program}::show", seconds=60)
    here = user.run("run", f"{program}::show", seconds=60)
    rotated = user.run("secret", "rotate-key", "--json", seconds=60)
    again = user.run("run", "--env", "prod", f"{program}::show", seconds=60)
    logs = user.run("logs", "kept", seconds=60)

    assert made.returncode == there.returncode == again.returncode == 0, there.stderr
    assert here.returncode != 0
    assert "There is no secret 'db' in environment 'main'" in here.stderr + here.stdout
    assert json.loads(rotated.stdout)["secrets"] >= 1
    everything = [made, there, here, rotated, again, logs]
    assert all(VALUE not in each.stdout + each.stderr for each in everything)


def test_an_app_is_deployed_only_where_its_secrets_are(user):
    program = user.write("deployed.py", PROGRAM.replace('"kept"', '"deployed"'))
    there = ("--env", "staging")

    missing = user.run("deploy", program, *there, seconds=60)
    user.run("secret", "create", "db", "PASSWORT=wrong", *there, seconds=60)
    lacking = user.run("deploy", program, *there, seconds=60)
    user.run("secret", "create", "db", f"PASSWORD={VALUE}", "--force", *there, seconds=60)
    deployed = user.run("deploy", program, *there, seconds=60)

    assert missing.returncode
    assert "There is no secret 'db' in environment 'staging'" in missing.stderr
    assert lacking.returncode
    assert "'db' lacks PASSWORD: it has PASSWORT" in lacking.stderr
    assert deployed.returncode == 0, deployed.stderr
