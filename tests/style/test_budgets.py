import ast
from collections.abc import Iterator
from pathlib import Path

from tests.style.exceptions import ALLOWED

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES, FUNCTION_LINES, PARAMETERS = 400, 60, 6

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "wire/gen" not in str(path):
                yield path


def functions(path: Path) -> Iterator[tuple[str, Function]]:
    tree = ast.parse(path.read_text(), str(path))
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield f"{path.relative_to(ROOT)}::{node.name}", node


def parameter_count(node: Function) -> int:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in arguments)


def without_allowed(found: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in found.items() if name not in ALLOWED}


def test_no_file_is_longer_than_its_budget():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sources("src", "tests", "examples", "benchmarks", "scripts")
    }

    too_long = {name: count for name, count in lengths.items() if count > FILE_LINES}

    assert without_allowed(too_long) == {}


def test_no_function_is_longer_than_its_budget():
    lengths = {
        name: (node.end_lineno or node.lineno) - node.lineno + 1
        for path in sources("src", "tests", "examples", "benchmarks", "scripts")
        for name, node in functions(path)
    }

    too_long = {name: count for name, count in lengths.items() if count > FUNCTION_LINES}

    assert without_allowed(too_long) == {}


def test_no_function_takes_more_parameters_than_its_budget():
    counts = {
        name: parameter_count(node)
        for path in sources("src", "examples", "scripts")
        for name, node in functions(path)
        if "overload" not in {getattr(decorator, "id", "") for decorator in node.decorator_list}
    }

    too_many = {name: count for name, count in counts.items() if count > PARAMETERS}

    assert without_allowed(too_many) == {}


def test_every_exception_is_still_needed():
    missing = [name for name in ALLOWED if not (ROOT / name.partition("::")[0]).exists()]

    assert missing == []
