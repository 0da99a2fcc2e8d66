import pytest

from offload.cli import program
from offload.cli.exits import CliError, Exit, ProgramError

APP = "import offload\napp = offload.App('x')\n"
ENTRYPOINT = "@app.local_entrypoint()\ndef {name}():\n    pass\n"
FUNCTION = "@app.function()\ndef {name}(x: int):\n    return x\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))  # undoes what loading adds

    def write(text: str, name: str = "a_program_of_a_test.py") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def choose(file: str, name: str = "") -> str:
    return program.choose(program.load(file), file, name).name


def test_the_only_entrypoint_is_chosen(write):
    file = write(APP + FUNCTION.format(name="f") + ENTRYPOINT.format(name="main"))

    assert choose(file) == "main"


def test_without_an_entrypoint_the_only_function_is_chosen(write):
    file = write(APP + FUNCTION.format(name="f"))

    assert choose(file) == "f"


def test_several_entrypoints_are_listed_with_how_to_choose(write):
    file = write(APP + ENTRYPOINT.format(name="one") + ENTRYPOINT.format(name="two"))

    with pytest.raises(CliError, match=r"offload run .*::one\n.*::two"):
        choose(file)
    assert choose(file, "two") == "two"


def test_a_wrong_name_is_corrected(write):
    file = write(APP + ENTRYPOINT.format(name="main"))

    with pytest.raises(CliError, match="Did you mean 'main'") as caught:
        choose(file, "mian")
    assert caught.value.code == Exit.NOT_FOUND


def test_a_program_without_an_app_is_told_what_to_write(write):
    file = write("x = 1\n")

    with pytest.raises(CliError, match="local_entrypoint"):
        choose(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CliError, match=r"no file .*none\.py") as caught:
        program.load(str(tmp_path / "none.py"))
    assert caught.value.code == Exit.NOT_FOUND


def test_what_is_not_python_is_refused(write):
    file = write("hello", name="notes.txt")

    with pytest.raises(CliError, match="not a Python file"):
        program.load(file)


def test_a_link_to_a_program_finds_what_lies_beside_the_program(write, tmp_path):
    (tmp_path / "real").mkdir()
    write("import beside_a_program\n" + APP + ENTRYPOINT.format(name="main"), "real/linked.py")
    write("", "real/beside_a_program.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "linked.py")

    assert choose(str(tmp_path / "link.py")) == "main"


def test_a_program_inside_a_package_imports_from_it(write, tmp_path):
    (tmp_path / "a_package" / "inner").mkdir(parents=True)
    write("VALUE = 1\n", "a_package/__init__.py")
    write("", "a_package/inner/__init__.py")
    file = write(
        "from .. import VALUE\nfrom . import near\nimport near as plainly\n"
        + APP
        + FUNCTION.format(name="f"),
        "a_package/inner/job.py",
    )
    write("", "a_package/inner/near.py")

    module = program.load(file)

    assert (module.__name__, module.VALUE) == ("a_package.inner.job", 1)
    assert program.choose(module, file, "").name == "f"


def test_a_package_named_as_one_that_is_imported_is_left_alone(write, tmp_path):
    (tmp_path / "json").mkdir()
    write("", "json/__init__.py")

    assert choose(write(APP + FUNCTION.format(name="f"), "json/job.py")) == "f"


def test_a_failing_import_shows_the_users_frames_only(write):
    file = write("def inner():\n    return 1 / 0\n\ninner()\n")

    with pytest.raises(ProgramError) as caught:
        program.load(file)

    assert "ZeroDivisionError" in caught.value.report
    assert caught.value.report.count('File "') == 2
    assert "offload/cli" not in caught.value.report


def test_a_syntax_error_is_shown_at_its_place(write):
    file = write("def broken(:\n")

    with pytest.raises(ProgramError) as caught:
        program.load(file)

    assert "line 1" in caught.value.report
    assert "Traceback" not in caught.value.report


def test_an_error_is_described_without_the_notes_added_to_it():
    error = ValueError("bad")
    error.add_note("raised in input 0 of f()\nin a container")

    assert program.describe(error) == "ValueError: bad"
