import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts.generate_proto import generate
from tests.style.exceptions import SLEEPERS

import offload

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [
    str(path.relative_to(ROOT))
    for folder in (ROOT, ROOT / "benchmarks")
    for path in sorted(folder.glob("*.lock"))
]


def names_used(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.name


def test_no_test_sleeps_or_patches():
    # asyncio.sleep(0) only lets others run and waits for no time.
    banned = {"time.sleep", "unittest.mock", "mock.patch", "monkeypatch.setattr", "MagicMock"}
    guilty = {
        str(path.relative_to(ROOT)): found
        for path in (ROOT / "tests").rglob("*.py")
        if (found := banned & set(names_used(path)))
    }

    assert guilty == {name: {"time.sleep"} for name in SLEEPERS}


def test_the_generated_messages_are_what_the_schema_says(tmp_path):
    committed = ROOT / "src" / "offload" / "wire" / "gen"

    generate(tmp_path)

    fresh = {path.name: path.read_text() for path in tmp_path.glob("*.py*")}
    assert {path.name: path.read_text() for path in committed.glob("*.py*")} == fresh


def test_every_public_name_is_in_the_reference():
    reference = (ROOT / "docs" / "reference" / "sdk.md").read_text()

    undocumented = [name for name in offload.__all__ if f"`{name}" not in reference]

    assert undocumented == []


def test_every_public_exception_is_in_the_reference():
    reference = (ROOT / "docs" / "reference" / "sdk.md").read_text()
    exceptions = [
        name
        for name, value in vars(offload.errors).items()
        if isinstance(value, type) and issubclass(value, offload.errors.OffloadError)
    ]

    assert [name for name in exceptions if f"`{name}`" not in reference] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_has_hashes_and_no_address(lock):
    text = (ROOT / lock).read_text()

    requirements = re.findall(r"^[a-z0-9].*==", text, re.MULTILINE)
    assert requirements
    assert text.count("--hash=sha256:") >= len(requirements)
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_no_lock_of_another_tool_is_committed():
    assert not (ROOT / "uv.lock").exists()


def test_no_code_names_the_package_whose_api_it_resembles():
    word = re.compile("mod" + "al", re.IGNORECASE)
    guilty = [
        str(path.relative_to(ROOT))
        for folder in ("src", "examples", "tests", "scripts", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if word.search(path.read_text())
    ]

    assert guilty == []
