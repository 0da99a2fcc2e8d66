"""A real job: measure every function of the interpreter's own standard library, in parallel.

Some thousands of files are parsed with `ast` inside containers. Only their paths travel: a container sees the caller's
Python, read-only.
"""

import ast
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

import offload

app = offload.App("stdlib-metrics")


class Measure(NamedTuple):
    """How long a function is."""

    lines: int
    name: str
    file: str


class Report(NamedTuple):
    """What one file holds; `longest` are its longest functions."""

    lines: int
    functions: int
    classes: int
    longest: list[Measure]
    problem: str


@app.function()
def measure(path: str) -> Report:
    """Parse one file and measure its functions."""
    try:
        source = Path(path).read_bytes()
        tree = ast.parse(source, path)
    except (
        SyntaxError,
        ValueError,
    ) as error:  # the library's own tests hold broken files on purpose
        return Report(0, 0, 0, [], f"{path}: {error}")
    nodes = list(ast.walk(tree))
    functions = [
        Measure((node.end_lineno or node.lineno) - node.lineno + 1, node.name, path)
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    classes = sum(isinstance(node, ast.ClassDef) for node in nodes)
    longest = sorted(functions, reverse=True)[:10]
    return Report(source.count(b"\n"), len(functions), classes, longest, "")


@app.local_entrypoint()
def main(limit: int = 0, top: int = 10) -> None:
    """Measure the standard library; with a limit, only its first so many files."""
    library = Path(sysconfig.get_path("stdlib"))
    files = sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)
    paths = [str(path) for path in files[: limit or None]]

    began = time.perf_counter()
    reports = list(measure.map(paths, order_outputs=False))
    seconds = time.perf_counter() - began

    longest = sorted((m for report in reports for m in report.longest), reverse=True)[:top]
    print(f"{'lines':>6}  {'function':<40}  file")
    for found in longest:
        print(f"{found.lines:>6}  {found.name:<40}  {Path(found.file).relative_to(library)}")
    unread = sum(bool(report.problem) for report in reports)
    print(
        f"\n{len(reports)} files ({unread} not parsable): {sum(r.lines for r in reports):,} lines, "
        f"{sum(r.functions for r in reports):,} functions, {sum(r.classes for r in reports):,} classes"
    )
    print(f"{seconds:.2f} s, {len(reports) / seconds:,.0f} inputs per second")
