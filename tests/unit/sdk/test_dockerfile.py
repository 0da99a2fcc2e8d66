import pytest

import offload
from offload.errors import InvalidError
from offload.sdk.dockerfile import parse_instructions

SLIM = offload.Image.debian_slim()


def from_text(folder, text):
    file = folder / "Dockerfile"
    file.write_text(text)
    return offload.Image.from_dockerfile(str(file))


def steps(image):
    return [(step.kind, *step.arguments, *step.settings) for step in image.steps]


def test_a_dockerfile_becomes_the_steps_that_could_have_been_written(tmp_path):
    (tmp_path / "app.py").write_text("x")
    dockerfile = from_text(
        tmp_path,
        '# syntax=docker/dockerfile:1\nFROM python:3.11-slim\nENV A=1 B="two words"\nWORKDIR /app\n'
        'RUN pip list && \\\n    # a comment between\n    ls\nCOPY app.py .\nEXPOSE 80\nCMD ["python", "app.py"]\n',
    )

    written = (
        offload.Image.from_registry("python:3.11-slim")
        .env({"A": "1", "B": "two words"})
        .workdir("/app")
        .run_commands("RUN pip list &&     ls".removeprefix("RUN "))
        .add_local_file(str(tmp_path / "app.py"), "/app/app.py", copy=True)
    )
    assert steps(dockerfile) == steps(written)
    assert dockerfile.steps[-1].content == written.steps[-1].content


def test_variables_are_replaced_where_docker_replaces_them(tmp_path):
    image = from_text(
        tmp_path,
        "ARG TAG=3.11\nFROM python:${TAG}\nENV HOME_DIR=/srv\nWORKDIR $HOME_DIR/app\nARG MODE\nENV X=${MODE:-fast} Y=\\$A\n",
    )

    assert image.steps[0].arguments == ("python:3.11",)
    assert ("workdir", "/srv/app") in steps(image)
    assert ("env", ("X", "fast"), ("Y", "$A")) in steps(image)


def test_arguments_are_in_the_environment_of_commands_alone(tmp_path):
    image = from_text(tmp_path, "FROM a\nARG V=1 2\nRUN echo $V\n".replace("1 2", "'1 2'"))

    assert image.steps[-1].arguments == ("export V='1 2'; echo $V",)
    assert not any(step.kind == "env" for step in image.steps)


def test_a_here_document_is_one_command(tmp_path):
    image = from_text(tmp_path, "FROM a\nRUN <<EOF\necho one\necho two\nEOF\nRUN ls\n")

    assert [step.arguments for step in image.steps[1:]] == [("echo one\necho two",), ("ls",)]


def test_commands_may_be_lists_and_have_a_shell_of_their_own(tmp_path):
    image = from_text(tmp_path, 'FROM a\nRUN ["ls", "a b"]\nSHELL ["/bin/bash", "-c"]\nRUN ls\n')

    assert [step.arguments for step in image.steps[1:]] == [("ls 'a b'",), ("/bin/bash -c ls",)]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("RUN ls\n", "line 1: the first instruction is FROM"),
        ("", "has no FROM"),
        ("FROM a\nFROM b\n", "line 2: Dockerfiles of several stages"),
        ("FROM a\nCOPY --from=b /x /y\n", "line 2 (COPY): files of other stages"),
        ("FROM a\nCOPY missing /y\n", "there is no file"),
        ("FROM a\nCOPY ../x /y\n", "outside of the context"),
        ("FROM a\nADD https://x.org/a /y\n", "fetch it with RUN"),
        ("FROM a\nRUN --mount=type=cache ls\n", "options of RUN"),
        ("FROM a\nUSER app\nRUN ls\n", "line 3 (RUN): commands are run as root here, not as app"),
        ("FROM a\nFLY\n", "there is no instruction FLY"),
        ("FROM a\nRUN <<EOF\nls\n", "the here-document EOF does not end"),
    ],
)
def test_what_cannot_be_built_is_named_with_its_line(tmp_path, text, hint):
    with pytest.raises(InvalidError) as caught:
        from_text(tmp_path, text)

    assert hint in str(caught.value)


def test_a_user_at_the_end_counts_for_nothing(tmp_path):
    assert len(from_text(tmp_path, "FROM a\nRUN ls\nUSER app\n").steps) == 2


def test_instructions_can_be_added_to_any_image():
    image = SLIM.workdir("/app").dockerfile_commands("ENV A=1", "WORKDIR sub")

    assert steps(image)[-2:] == [("env", ("A", "1")), ("workdir", "/app/sub")]
    with pytest.raises(InvalidError, match=r"Image\.from_dockerfile"):
        SLIM.dockerfile_commands("FROM a")


def test_what_a_dockerignore_names_is_not_copied(tmp_path):
    (tmp_path / "a.py").write_text("x")
    (tmp_path / "a.log").write_text("x")
    (tmp_path / ".dockerignore").write_text("# logs\n*.log\n")

    image = from_text(tmp_path, "FROM a\nCOPY . /app\n")

    assert image.steps[-1].content.ignore == ("*.log",)


def test_an_instruction_ends_with_its_line():
    parsed = parse_instructions("RUN a\n\n# c\nRUN b \\\n  c\n", "here")

    assert [(each.name, each.line) for each in parsed.items] == [("RUN", 1), ("RUN", 4)]
