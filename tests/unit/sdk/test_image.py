import asyncio
import io
import pickle
import sys
import tarfile
from pathlib import Path

import cloudpickle
import pytest
from tests.support.image_module import imported

import offload
from offload.errors import InvalidError
from offload.sdk import serialize
from offload.sdk.client.images import describe, send_inline
from offload.sdk.image_choice import ChosenImage, image_of
from offload.sdk.image_content import Files, Ignored

SLIM = offload.Image.debian_slim()


def digests(image):
    message = asyncio.run(describe(ChosenImage(image, (), is_by_value=True), send_inline))
    return [step.digest for step in message.steps]


def names(archive):
    return tarfile.open(fileobj=io.BytesIO(archive)).getnames()


def test_the_same_chain_has_the_same_digests_and_shares_its_beginning():
    one = SLIM.pip_install("numpy").env({"A": "1", "B": "2"})
    same = SLIM.pip_install("numpy").env({"B": "2", "A": "1"})
    other = SLIM.pip_install("numpy").env({"A": "3"})

    assert digests(one) == digests(same)
    assert digests(one)[:2] == digests(other)[:2]
    assert digests(one)[2] != digests(other)[2]


def test_what_comes_first_changes_the_name_of_all_after_it():
    assert (
        digests(SLIM.env({"A": "1"}).pip_install("six"))[-1] != digests(SLIM.pip_install("six"))[-1]
    )


def test_an_image_stays_as_it_is_when_a_step_is_added():
    before = digests(SLIM)

    SLIM.apt_install("git")

    assert digests(SLIM) == before


def test_words_do_not_run_together_in_a_digest():
    assert digests(SLIM.pip_install("a", "b")) != digests(SLIM.pip_install("a b"))


def test_a_secret_is_in_no_digest():
    plain = SLIM.run_commands("make")
    with_secret = SLIM.run_commands("make", secrets={"TOKEN": "s3cret"})

    assert digests(plain) == digests(with_secret)


def test_a_step_takes_texts_and_no_secret_of_containers_and_shows_neither():
    kept = offload.Secret.from_dict({"TOKEN": "s3cret"})

    for given in (kept, [kept], ["TOKEN=s3cret"]):
        with pytest.raises(InvalidError, match=r'secrets=\{"TOKEN": …\}') as refused:
            SLIM.run_commands("make", secrets=given)

        assert "s3cret" not in str(refused.value)


def test_a_forced_build_is_another_layer_in_each_program():
    forced = SLIM.pip_install("six", force_build=True)

    assert digests(forced) == digests(forced)
    assert digests(forced) != digests(SLIM.pip_install("six", force_build=True))
    assert digests(forced)[0] == digests(SLIM)[0]


def test_files_are_named_by_what_is_in_them(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("one")
    image = SLIM.add_local_file(str(file), "/a.txt", copy=True)
    before = digests(image)

    file.touch()
    touched = digests(image)
    file.write_text("two")

    assert touched == before
    assert digests(image) != before


def test_files_that_are_not_copied_are_in_no_step(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    image = SLIM.add_local_dir(str(tmp_path), "/data")

    message = asyncio.run(describe(ChosenImage(image, (), is_by_value=True), send_inline))

    assert [step.digest for step in message.steps] == digests(SLIM)
    assert names(message.attached[0].content.inline) == ["data/a.txt"]


def test_a_folder_is_added_without_what_is_ignored(tmp_path):
    for name in ("keep.py", "drop.log", "sub/drop.log", "sub/keep.txt", "build/x", "build/keep/y"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)

    archive = Files(((str(tmp_path), "/d"),), ("**/*.log", "build", "!build/keep")).read()

    assert names(archive) == [
        "d/build/keep",
        "d/build/keep/y",
        "d/keep.py",
        "d/sub",
        "d/sub/keep.txt",
    ]


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.py", "a.py", True),
        ("*.py", "sub/a.py", False),
        ("**/*.py", "sub/deep/a.py", True),
        ("**/__pycache__", "sub/__pycache__/a.pyc", True),
        ("sub", "sub/a", True),
        ("sub", "subway", False),
        ("a?c", "abc", True),
        ("", "a", False),
    ],
)
def test_a_pattern_fits(pattern, path, fits):
    assert Ignored((pattern,))(path) is fits


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: offload.Image.debian_slim(3.11), 'write python_version="3.11"'),
        (lambda: offload.Image.debian_slim("3.11.2"), "without a patch"),
        (lambda: offload.Image.from_registry("https://x.org/a"), "without a scheme, 'x.org/a'"),
        (lambda: offload.Image.from_registry("a", secret={"token": "x"}), '"username"'),
        (SLIM.pip_install, 'write pip_install("numpy"'),
        (lambda: SLIM.pip_install(["numpy"]), "write pip_install(*['numpy'])"),
        (lambda: SLIM.apt_install("git ffmpeg"), "write apt_install('git', 'ffmpeg')"),
        (lambda: SLIM.run_commands(3), "is no text"),
        (lambda: SLIM.env({"A B": "1"}), "'A B' is not the name of a variable"),
        (lambda: SLIM.env({"A": 1}), "the value of A is not a string"),
        (lambda: SLIM.workdir("app"), 'write "/app"'),
        (lambda: SLIM.entrypoint("sh -c x"), "write entrypoint(['sh', '-c', 'x'])"),
        (lambda: SLIM.add_local_file("/no/such/file", "/x"), "there is no file"),
        (lambda: SLIM.add_local_dir("/etc/hostname-none", "/x"), "there is no folder"),
        (lambda: SLIM.add_local_dir("/etc", "/x", ignore="*.log"), "write ignore=['*.log']"),
        (lambda: SLIM.add_local_python_source("a/b.py"), "is not the name of a module"),
        (lambda: SLIM.add_local_python_source("no_such_module_x"), "no module 'no_such_module_x'"),
        (lambda: SLIM.run_function(3), "write run_function(fetch)"),
        (lambda: SLIM.pip_install("a", index_url="x"), "is not the address of a package index"),
        (lambda: offload.Image.local().pip_install("six"), "offload.Image.debian_slim()"),
        (
            lambda: offload.App("x").function(image="python:3.11"),
            "Image.from_registry('python:3.11')",
        ),
        (lambda: offload.App("x", image=3), "image=3 is not an image"),
    ],
)
def test_a_mistake_is_named_where_it_was_made(make, hint):
    with pytest.raises(InvalidError) as caught:
        make()

    assert hint in str(caught.value)
    assert caught.traceback[-1].path == Path(__file__)


def test_a_step_after_files_that_are_attached_is_refused(tmp_path):
    attached = SLIM.add_local_dir(str(tmp_path), "/data")

    with pytest.raises(InvalidError, match="copy=True"):
        attached.run_commands("ls /data")

    assert attached.env({"A": "1"}).workdir("/data").attached


def test_the_dependencies_of_a_project_are_installed(tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\ndependencies = ["numpy"]\n[project.optional-dependencies]\nplot = ["pillow"]\n'
    )

    image = SLIM.pip_install_from_pyproject(str(project), ["plot"])

    assert image.steps[-1].arguments == ("numpy", "pillow")
    with pytest.raises(InvalidError, match="it has plot"):
        SLIM.pip_install_from_pyproject(str(project), ["docs"])


def test_requirements_are_read_at_once(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("six\n")
    image = SLIM.pip_install_from_requirements(str(file))

    file.unlink()

    assert len(digests(image)) == 2


def by_value():
    return 1


by_value.__module__ = "__main__"


def test_code_is_not_sent_to_an_interpreter_of_another_version():
    other = offload.Image.debian_slim(python_version="3.9")

    with pytest.raises(InvalidError, match=r"has Python 3\.9") as caught:
        image_of(by_value, "by_value", other)

    assert f'python_version="3.{sys.version_info.minor}"' in str(caught.value)
    assert "a module of its own" in str(caught.value)


def test_a_function_of_a_module_runs_on_any_version_and_its_module_goes_along():
    chosen = image_of(imported, "imported", offload.Image.debian_slim(python_version="3.9"))

    assert chosen is not None
    assert not chosen.is_by_value
    assert any(
        place.startswith("/opt/offload/source/tests") for _, place in chosen.sources[0].places
    )


def test_the_callers_own_environment_is_no_image_to_build():
    assert image_of(by_value, "by_value", None) is None
    assert image_of(by_value, "by_value", offload.Image.local()) is None


def test_an_apps_image_is_the_default_of_its_functions():
    app = offload.App("x", image=SLIM)

    @app.function()
    def one():
        return 1

    @app.function(image=offload.Image.local())
    def two():
        return 2

    assert one.options.image is SLIM
    assert two.options.image.is_local


def test_an_image_does_not_travel_with_its_function():
    app = offload.App("x")

    @app.function(image=SLIM.run_commands("make", secrets={"TOKEN": "s3cret"}))
    def work():
        return 1

    assert b"s3cret" not in cloudpickle.dumps(work)
    assert serialize.loads(pickle.dumps(SLIM)).is_local


def test_a_module_that_only_the_image_has_travels_as_its_name():
    with SLIM.imports():
        import json  # noqa: PLC0415  # the context is what is tested

        import not_here_at_all as nowhere  # noqa: PLC0415  # as above
        from not_here_at_all.deep import thing  # noqa: PLC0415  # as above

    assert json.dumps(1) == "1"
    assert "not_here_at_all" not in sys.modules
    with pytest.raises(ImportError, match="only in the image"):
        thing()
    with pytest.raises(ModuleNotFoundError, match="not_here_at_all"):
        serialize.loads(cloudpickle.dumps(lambda: nowhere.attribute))


def test_other_imports_fail_as_ever_after_the_context():
    with SLIM.imports():
        import not_here_at_all  # noqa: PLC0415  # the context is what is tested

    assert not_here_at_all.__name__ == "not_here_at_all"
    with pytest.raises(ModuleNotFoundError):
        __import__("not_here_at_all")
