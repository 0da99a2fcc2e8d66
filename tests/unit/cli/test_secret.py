"""`offload secret`, on a whole server in memory."""

from __future__ import annotations

import json
import os

import pytest

from offload.cli.main import run_command

VALUE = "correct horse battery"


@pytest.fixture
def offload(server, capsys):
    """Return a function that runs a command and returns its exit code and all that it printed."""

    def run(*words):
        code = run_command(["secret", *words])
        said = capsys.readouterr()
        assert VALUE not in said.out + said.err
        return code, said.out + said.err

    return run


def keys(offload, *where):
    listed = json.loads(offload("ls", "--json", *where)[1])["secrets"]
    return {each["name"]: each["keys"] for each in listed}


def test_a_secret_is_made_of_variables_listed_renamed_and_deleted(offload):
    made = offload("create", "db", f"PASSWORD={VALUE}", "USER=ann")
    _, table = offload("ls")

    assert made == (0, "Secret 'db' has PASSWORD, USER.\n")
    assert "PASSWORD, USER" in table
    assert offload("rename", "db", "database")[0] == 0
    assert keys(offload) == {"database": ["PASSWORD", "USER"]}
    assert offload("delete", "database", "--yes")[0] == 0
    assert keys(offload) == {}
    assert "There is no secret in environment 'main'." in offload("ls")[1]


def test_variables_come_from_files(offload, tmp_path):
    dotenv, as_json = tmp_path / ".env", tmp_path / "v.json"
    dotenv.write_text(f"A='{VALUE}'\n")
    as_json.write_text(json.dumps({"B": VALUE}))

    assert offload("create", "one", "--from-dotenv", str(dotenv), "C=3")[0] == 0
    assert offload("create", "two", "--from-json", str(as_json), "--json")[0] == 0

    assert keys(offload) == {"one": ["A", "C"], "two": ["B"]}


def test_variables_come_from_a_pipe(offload):
    read, write = os.pipe()
    os.write(write, f"A={VALUE}\n".encode())
    os.close(write)

    code, _ = offload("create", "one", "--from-dotenv", f"/dev/fd/{read}")
    os.close(read)

    assert code == 0
    assert keys(offload) == {"one": ["A"]}


def test_an_environment_is_chosen(offload):
    offload("create", "db", "A=1", "--env", "prod")

    assert keys(offload) == {}
    assert keys(offload, "--env", "prod") == {"db": ["A"]}


def test_what_is_there_is_replaced_only_by_force(offload):
    offload("create", "db", "A=1")

    code, said = offload("create", "db", f"B={VALUE}")

    assert (code, "--force" in said) == (2, True)
    assert offload("create", "db", f"B={VALUE}", "--force")[0] == 0
    assert keys(offload) == {"db": ["B"]}


@pytest.mark.parametrize("words", [(), (VALUE,), (f"1A={VALUE}",), (f"={VALUE}",)])
def test_what_is_no_variable_is_refused_and_not_shown(offload, words):
    assert offload("create", "db", *words)[0] == 2


@pytest.mark.parametrize("text", [f'["{VALUE}"]', f'{{"A": ["{VALUE}"]}}', VALUE])
def test_a_file_that_cannot_be_read_is_refused_and_not_shown(offload, tmp_path, text):
    file = tmp_path / "v.json"
    file.write_text(text)

    code, said = offload("create", "db", "--from-json", str(file))

    assert (code, "is not a JSON object of texts" in said) == (2, True)


def test_the_key_is_changed(offload, server):
    offload("create", "db", f"A={VALUE}")
    before = server.services.secrets._keyring.current

    code, said = offload("rotate-key", "--json")

    assert (code, json.loads(said)) == (0, {"secrets": 1})
    assert server.services.secrets._keyring.current != before
