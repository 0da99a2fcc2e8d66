"""What a person has installed with `pip install -e` is there in a container, however that was done."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

PROJECT = """
[project]
name = "{name}"
version = "1"
[build-system]
requires = ["{backend}"]
"""

SETUPTOOLS = 'build-backend = "setuptools.build_meta"\n[tool.setuptools]\n'
HATCHLING = 'build-backend = "hatchling.build"\n[tool.hatch.build]\n'

# What becomes of each: a .pth line with a folder; import hooks with a module's file, with a package's folder and with a
# namespace; in strict mode a folder of links; and the hook of `editables`.
STYLES = {
    "in_src": ("src/in_src/__init__.py", SETUPTOOLS + 'package-dir = {"" = "src"}\n'),
    "single": ("single.py", SETUPTOOLS + 'py-modules = ["single"]\n'),
    "flat": ("flat/__init__.py", SETUPTOOLS + 'packages = ["flat"]\n'),
    "space.inner": (
        "lib/space/inner/__init__.py",
        SETUPTOOLS + 'packages = ["space.inner"]\npackage-dir = {"" = "lib"}\n',
    ),
    "strict": ("src/strict/__init__.py", SETUPTOOLS + 'package-dir = {"" = "src"}\n'),
    "exact": (
        "src/exact/__init__.py",
        HATCHLING + 'dev-mode-exact = true\npackages = ["src/exact"]\n',
    ),
}

JOB = """
import importlib, sys, offload
app = offload.App("job")
@app.function()
def value(name):
    return importlib.import_module(name).VALUE
with app.run():
    print(value.remote(sys.argv[1]))
"""


def _install(folder: Path, name: str, python: str) -> None:
    """Write a package and install it editable for an interpreter, without an index."""
    module, settings = STYLES[name]
    project = folder / f"project-{name}"
    (project / module).parent.mkdir(parents=True)
    (project / module).write_text(f"VALUE = 'from {name}'\n")
    backend = "hatchling" if settings.startswith(HATCHLING) else "setuptools"
    (project / "pyproject.toml").write_text(
        PROJECT.format(name=name.replace(".", "-"), backend=backend) + settings
    )
    strict = ("--config-settings", "editable_mode=strict") if name == "strict" else ()
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-build-isolation", "--no-deps",
         "--quiet", "--no-cache", "--python", python, *strict, "-e", str(project)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def python(folder):
    """Return the interpreter of an environment of the person's own, which has what ours has."""
    venv.create(folder / "venv", with_pip=False)
    ours = sysconfig.get_path("purelib")
    theirs = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
    Path(theirs, "00.pth").write_text(  # before what needs something of ours
        f"import site; site.addsitedir({ours!r})\n"
    )
    return str(folder / "venv" / "bin" / "python")


@pytest.mark.parametrize("name", STYLES)
def test_an_editable_install_is_imported_in_the_container(person, folder, python, name):
    _install(folder, name, python)
    work = folder / "work"
    work.mkdir()
    (work / "job.py").write_text(JOB)

    done = person("work/job.py", name, python=python)

    assert (done.stdout, done.stderr) == (f"from {name}\n", "")
