"""`offload deploy` and `offload app`, on a whole server in memory that has no worker."""

from __future__ import annotations

import json

import pytest

PROGRAM = """
import offload

app = offload.App("shop", tags={{"team": "pricing"}})

@app.function(schedule=offload.Period(hours=1))
def price(n: int = 0) -> int:
    return n * {factor}

@app.cls()
class Greeter:
    language: str = offload.parameter()

    @offload.method()
    def greet(self, n):
        return self.language + n
"""


@pytest.fixture
def deploy(offload, tmp_path):
    """Return a function that deploys a version without trying it out."""

    def run(*words, factor=2):
        file = tmp_path / "shop.py"
        file.write_text(PROGRAM.format(factor=factor))
        return offload("deploy", str(file), "--no-check", *words)

    return run


def test_what_is_deployed_is_said_with_how_to_find_it(deploy):
    assert deploy("--tag", "v1") == (
        0,
        "Version 1 of shop in environment main serves.\n"
        '  Function.from_name("shop", "price")  # runs every 1 h\n'
        '  Cls.from_name("shop", "Greeter")\n',
    )
    assert deploy(factor=3)[1].startswith(
        "Version 2 of shop in environment main serves in place of version 1."
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--name", ""), "'' is no name of an app"),
        (("--env", "bad env"), "'bad env' is no name of an environment"),
        (("--tag", "x" * 300), "is no tag: at most 200 printable characters"),
        (("--nam", "x"), "No such option '--nam'"),
    ],
)
def test_what_cannot_be_deployed_so_is_refused(deploy, words, said):
    code, text = deploy(*words)

    assert code in (2, 3)
    assert said in text


def test_versions_are_listed_tagged_and_stopped(offload, deploy):
    deploy("--tag", "v1")
    deploy("--tag", "v2", factor=3)

    tagged = offload("app", "tag", "shop", "owner=ann", "team=")
    offload("app", "tag", "shop", "--version-tag", "good", "--version", "1")
    history = json.loads(offload("app", "history", "shop", "--json")[1])
    shown = offload("app", "show", "shop")[1]
    listed = json.loads(offload("app", "ls", "--json")[1])
    stopped = offload("app", "stop", "shop")

    assert tagged == (0, "App shop: owner=ann\n")
    assert [(each["version"], each["tag"]) for each in history] == [(2, "v2"), (1, "good")]
    assert shown.startswith("App shop in environment main: version 2 serves, since")
    assert "Greeter" in shown
    assert [(each["app"]["name"], each["version"]) for each in listed] == [("shop", 2)]
    assert stopped == (
        0,
        "App shop is stopped; `offload app rollback shop --version 2` has version 2 serve again.\n",
    )
    assert "App shop in environment main: stopped" in offload("app", "show", "shop")[1]


MISTAKES = (
    (("show", "shpo"), 4, "There is no deployed app 'shpo' in environment 'main'"),
    (("show", "shop", "--env", "prod"), 4, "there is one in environment 'main'"),
    (("history",), 2, "Missing argument 'APP'"),
    (("rollback", "shop"), 4, "has no version before 1"),
    (("rollback", "shop", "--version", "9"), 4, "has no version 9: those kept are 1"),
    (("rollback", "shop", "--version", "-1"), 2, "-1 is not in the range"),
    (("rollback", "shop", "--version", "x"), 2, "'x' is not a valid integer"),
    (("logs", "shop", "--version", "7"), 4, "has no version 7: those kept are 1"),
    (("logs", "shpo"), 4, "There is no deployed app 'shpo'"),
    (("stop", "shpo"), 4, "There is no deployed app 'shpo'"),
    (("tag", "shop", "owner"), 2, "'owner' is no tag: write KEY=VALUE"),
    (("tag", "shop", "--version", "1"), 2, "write --version-tag TEXT, too"),
    (("tag", "shop", "--version-tag", "x", "--version", "5"), 4, "has no version 5"),
    (("lss",), 2, "No such command 'lss'"),
)


def test_what_is_typed_wrong_is_said_with_what_there_is(offload, deploy):
    deploy()

    answers = [(words, offload("app", *words), code, said) for words, code, said in MISTAKES]

    assert [words for words, answer, code, said in answers if answer[0] != code] == []
    assert [answer for _, answer, _, said in answers if said not in answer[1]] == []


def test_an_environment_without_apps_is_named(offload):
    assert offload("app", "ls", "--env", "prod") == (
        0,
        "No deployed apps in environment 'prod': `offload deploy FILE` adds one.\n",
    )
