import os

import pytest

from offload.sdk.identity import program_name, whoever_runs_this


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["/srv/train.py", "--epochs", "3"], "train.py"),
        (["/usr/bin/offload", "run", "-q", "jobs/train.py::main", "--token", "x"], "train.py"),
        (["/usr/bin/offload", "status"], "offload"),
        (["/lib/python/pytest/__main__.py"], "pytest"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_a_program_is_named_as_a_person_knows_it_and_without_its_arguments(words, program):
    assert program_name(words) == program


def test_a_reason_names_the_user_and_the_machine(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ann")

    assert whoever_runs_this().startswith(f"ann@{os.uname().nodename} (")
