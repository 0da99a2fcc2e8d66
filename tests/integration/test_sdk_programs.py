"""Programs as people write them: what a script, a prompt and a failing call show, on a real stack."""

import os

import pytest


def test_a_failing_script_shows_its_own_lines_and_those_of_its_causes_alone(person, folder):
    (folder / "beside.py").write_text("def fall(x):\n    raise ValueError(f'bad {x}')\n")
    (folder / "job.py").write_text(
        "import beside, offload\n"
        "app = offload.App('job')\n"
        "@app.function()\n"
        "def work(x):\n"
        "    try:\n"
        "        beside.fall(x)\n"
        "    except ValueError as error:\n"
        "        raise RuntimeError('wrapped') from error\n"
        "with app.run():\n"
        "    work.remote(1)\n"
    )

    done = person("job.py")

    shown = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("File")]
    assert shown == [
        f'File "{folder}/job.py", line 6, in work',
        f'File "{folder}/beside.py", line 2, in fall',
        f'File "{folder}/job.py", line 10, in <module>',
        f'File "{folder}/job.py", line 8, in work',
    ]
    assert "raise ValueError(f'bad {x}')" in done.stderr
    assert "RuntimeError: wrapped" in done.stderr


def test_a_package_beside_the_script_and_a_closure_travel(person, folder):
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("from .inner import value\n")
    (folder / "package" / "inner.py").write_text("value = 40\n")
    (folder / "job.py").write_text(
        "import offload, package\n"
        "app = offload.App('job')\n"
        "def make(n):\n"
        "    return app.function(name='closed')(lambda x: package.value + n + x)\n"
        "closed = make(1)\n"
        "with app.run():\n"
        "    print(closed.remote(1))\n"
    )

    done = person("job.py")

    assert (done.stdout, done.stderr) == ("42\n", "")


def test_functions_typed_at_a_prompt_run(person):
    typed = (
        "import offload\n"
        "app = offload.App('prompt')\n"
        "@app.function()\n"
        "def add(x):\n"
        "    return x + 1\n"
        "\n"
        "with app.run():\n"
        "    print('got', add.remote(2))\n"
        "\n"
    )

    done = person("-i", "-q", text=typed)

    assert "got 3\n" in done.stdout


def test_what_is_printed_and_logged_goes_to_its_own_stream_with_its_input_named(person, folder):
    (folder / "job.py").write_text(
        "import logging, offload\n"
        "app = offload.App('job')\n"
        "@app.function()\n"
        "def talk():\n"
        "    print('one\\ntwo', end='')\n"
        "    logging.warning('careful')\n"
        "with app.run():\n"
        "    talk.remote()\n"
    )

    done = person("job.py")

    assert done.stdout == "[talk #0] one\n[talk #0] two\n"
    assert done.stderr == "[talk #0] WARNING:root:careful\n"


def test_a_call_is_found_by_its_id_in_another_process(person, folder):
    (folder / "start.py").write_text(
        "import offload\n"
        "app = offload.App('job')\n"
        "with app.run():\n"
        "    print(app.function(name='double')(lambda x: 2 * x).spawn(21).object_id)\n"
    )
    call_id = person("start.py").stdout.strip()

    found = person("-c", f"import offload; print(offload.FunctionCall.from_id('{call_id}').get())")

    assert found.stdout == "42\n"


@pytest.mark.skipif(
    os.getuid() != 0, reason="only a worker of root runs containers as another user"
)
def test_a_folder_closed_to_all_stops_no_function_and_is_named_where_an_import_misses_it(
    person, folder
):
    (folder / "beside.py").write_text("ANSWER = 42\n")
    (folder / "job.py").write_text(
        "import offload\n"
        "app = offload.App('job')\n"
        "@app.function()\n"
        "def alone():\n"
        "    return 'ran'\n"
        "@app.function()\n"
        "def needs_another_file():\n"
        "    import beside\n"
        "with app.run():\n"
        "    print(alone.remote())\n"
        "    needs_another_file.remote()\n"
    )
    folder.chmod(0)  # which stops nobody who is root

    done = person("job.py")

    assert done.stdout == "ran\n"
    assert "No module named 'beside'" in done.stderr
    assert f"cannot read {folder}" in done.stderr
