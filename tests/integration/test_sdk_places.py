"""Programs run from odd places and in odd ways: what Python runs, runs with its functions in containers."""

import contextlib
import os
import tempfile
import zipapp
from pathlib import Path

import pytest

JOB = """
import offload
app = offload.App("job")
class Point:
    x = 3
@app.function()
def make(x: int):
    return Point(), x + 1
def main():
    point, number = make.remote(1)
    print(type(point) is Point, number)
if __name__ == "__main__":
    with app.run():
        main()
"""

# The same, with modules of its own package that are imported there and here.
IN_PACKAGE = JOB.replace("import offload\n", "import offload\nfrom .inner import ONE\n", 1).replace(
    "x + 1", "x + ONE"
)

# What a shell makes of `python <(…)`.
THROUGH_A_DESCRIPTOR = """
import os, sys
os.dup2(0, 63)
os.execv(sys.executable, [sys.executable, "/dev/fd/63"])
"""


@pytest.fixture
def package(folder):
    inner = folder / "package" / "inner"
    inner.mkdir(parents=True)
    (inner / "__init__.py").write_text("ONE = 1\n")
    (folder / "package" / "__init__.py").write_text("")
    for name in ("job.py", "__main__.py"):
        (folder / "package" / name).write_text(IN_PACKAGE)
    return folder / "package"


def test_a_script_in_a_folder_with_spaces_and_accents_runs(person, folder):
    place = folder / "with space" / "ünï"
    place.mkdir(parents=True)
    (place / "beside.py").write_text("ONE = 1\n")
    (place / "my job.py").write_text(
        JOB.replace("import offload", "import offload, beside").replace("+ 1", "+ beside.ONE")
    )

    done = person("with space/ünï/my job.py")

    assert (done.stdout, done.stderr) == ("True 2\n", "")


def test_a_link_to_a_script_runs_with_what_lies_beside_the_script(person, folder):
    (folder / "real").mkdir()
    (folder / "real" / "beside.py").write_text("ONE = 1\n")
    (folder / "real" / "job.py").write_text(
        JOB.replace("import offload", "import offload, beside").replace("+ 1", "+ beside.ONE")
    )
    (folder / "job.py").symlink_to("real/job.py")

    done = person("job.py")

    assert (done.stdout, done.stderr) == ("True 2\n", "")


@pytest.mark.parametrize("way", [["-"], ["-c", JOB], ["/dev/stdin"]], ids=lambda way: way[0])
def test_a_program_that_is_no_file_runs(person, way):
    done = person(*way, text=JOB)

    assert (done.stdout, done.stderr) == ("True 2\n", "")


def test_a_program_from_a_descriptor_runs(person):
    done = person("-c", THROUGH_A_DESCRIPTOR, text=JOB)

    assert (done.stdout, done.stderr) == ("True 2\n", "")


@pytest.mark.parametrize("module", ["package.job", "package"])
def test_a_module_of_a_package_runs_by_its_name(person, package, module):
    done = person("-m", module)

    assert (done.stdout, done.stderr) == ("True 2\n", "")


def test_offload_runs_a_file_inside_a_package_by_its_path(person, package):
    done = person("-m", "offload", "run", "package/job.py::make", "--x", "4")

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(", 5)\n")


def test_an_archive_runs(person, folder):
    source = folder / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "__init__.py").write_text("ONE = 1\n")
    (source / "__main__.py").write_text(
        JOB.replace("import offload", "import offload, inner").replace("+ 1", "+ inner.ONE")
    )
    zipapp.create_archive(source, folder / "job.pyz")

    done = person("job.pyz")

    assert (done.stdout, done.stderr) == ("True 2\n", "")


# Containers have a /dev and a /proc of their own, without the caller's folders in them.
@pytest.mark.parametrize("where", ["/dev/shm", "/proc/self"])  # noqa: S108
def test_a_program_runs_wherever_its_caller_stands(person, folder, where):
    with contextlib.ExitStack() as stack:
        if where == "/dev/shm":  # noqa: S108
            where = stack.enter_context(tempfile.TemporaryDirectory(dir=where))
            Path(where).chmod(0o755)
        (folder / "job.py").write_text(f"import os\nos.chdir({where!r})\n" + JOB)

        done = person(str(folder / "job.py"))

    assert (done.stdout, done.stderr) == ("True 2\n", "")


def test_a_program_runs_whose_folder_was_removed_under_it(person, folder):
    (folder / "gone").mkdir()
    (folder / "job.py").write_text("import os\nos.chdir('gone')\nos.rmdir('../gone')\n" + JOB)

    done = person("job.py")

    assert (done.stdout, done.stderr) == ("True 2\n", "")


def test_a_folder_whose_name_no_message_can_hold_is_named_with_what_to_do(person, folder):
    place = Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))
    place.mkdir()
    (place / "job.py").write_text(JOB)

    done = person(str(place / "job.py"))

    assert "its name is not UTF-8: rename it" in done.stderr.splitlines()[-1]
    assert "offload/sdk" not in done.stderr
