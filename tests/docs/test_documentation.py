import re
from pathlib import Path

import pytest
from scripts.write_cli_reference import TARGET, reference
from tests.support.acceptance import User

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [
    (f"{page.relative_to(ROOT)}:{number}", block)
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    someone = User(tmp_path_factory.mktemp("reader"))
    yield someone
    someone.end()


@pytest.mark.parametrize(
    "program", [text for _, text in PROGRAMS], ids=[name for name, _ in PROGRAMS]
)
def test_every_program_in_the_documentation_runs(reader, program):
    file = reader.write("snippet.py", program)

    done = reader.run("run", file) if "local_entrypoint" in program else reader.run_python(file)

    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_reference_shows_the_commands_as_they_are():
    assert TARGET.read_text() == reference()


def test_every_test_that_the_guarantees_name_exists():
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs/explanation/guarantees.md").read_text())

    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }

    assert named
    assert [name for name in named if name not in defined] == []
