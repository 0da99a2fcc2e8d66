"""Programs as people write them: what a script, a prompt and a failing call show, on a real stack."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from offload import testing


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stack")
    with testing.local_stack(directory):
        yield directory


@pytest.fixture
def folder():
    # pytest's own folders are closed to the user that containers of root run as.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def person(stack, folder):
    """Return a function that runs Python in a folder of the person's own, with `text` typed at it."""

    def run(*arguments, text=None):
        return subprocess.run(
            [sys.executable, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=folder,
            env={**os.environ, "OFFLOAD_DATA_DIR": str(stack)},  # noqa: TID251  # the person's own
        )

    return run


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


def test_cells_without_a_file_share_their_classes_with_their_functions(person, folder):
    (folder / "kernel.py").write_text(
        "import sys, types\n"
        "cells = ['import offload\\napp = offload.App(\"cells\")\\nclass Point:\\n    x = 3\\n',\n"
        "    '@app.function()\\ndef make():\\n    return Point()\\n',\n"
        "    'with app.run():\\n    print(type(make.remote()) is Point)\\n']\n"
        "module = sys.modules['__main__'] = types.ModuleType('__main__')\n"
        "for number, cell in enumerate(cells):\n"
        "    exec(compile(cell, f'<cell {number}>', 'exec'), module.__dict__)\n"
    )

    done = person("kernel.py")

    assert (done.stdout, done.stderr) == ("True\n", "")


# Runs cells as a notebook's kernel does: in one loop, in one namespace, each with a source of its own, `await` allowed,
# and after an error the next one all the same. The first line with STOP that arrives in the output interrupts the cell.
KERNEL = """
import ast, asyncio, inspect, linecache, os, signal, sys, traceback, types

class Output:
    interrupt = signal.SIGINT
    def write(self, text):
        sys.__stdout__.write(text)
        if "STOP" in text and self.interrupt:
            os.kill(os.getpid(), self.interrupt)
            self.interrupt = None
    def flush(self):
        sys.__stdout__.flush()

async def run(module, number, cell):
    name = f"<cell {number}>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
    code = compile(cell, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        task = asyncio.ensure_future(eval(code, module.__dict__))
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
        try:
            await task
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, signal.default_int_handler)
    else:
        exec(code, module.__dict__)

async def main(cells):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    for number, cell in enumerate(cells):
        try:
            await run(module, number, cell)
        except BaseException as error:
            traceback.print_exception(error)

sys.stdout = Output()
loop = asyncio.new_event_loop()
loop.run_until_complete(main(open(sys.argv[1]).read().split("# %%\\n")))
"""


@pytest.fixture
def notebook(person, folder):
    """Return a function that runs a notebook's cells, and says what they wrote."""
    (folder / "kernel.py").write_text(KERNEL)

    def run(*cells):
        begin = "import offload, threading\napp = offload.App('notebook')\n"
        (folder / "notebook.py").write_text("# %%\n".join([begin, *cells]))
        return person("kernel.py", "notebook.py")

    return run


def test_a_later_cell_may_define_anew_what_a_function_uses_and_the_function_itself(notebook):
    done = notebook(
        "def help(x):\n    return x\n@app.function()\ndef work(x):\n    return help(x)\n",
        "with app.run():\n    print(work.remote(1))\n",
        "def help(x):\n    return 10 * x\n",
        "with app.run():\n    print(work.remote(1))\n",
        "@app.function()\ndef work(x):\n    return 100 * help(x)\n",
        "with app.run():\n    print(work.remote(1))\n",
    )

    assert (done.stdout, done.stderr) == ("1\n10\n1000\n", "")


def test_a_cell_may_await_and_may_block_while_its_loop_runs(notebook):
    done = notebook(
        "@app.function()\ndef work(x):\n    print('working')\n    return x + 1\n",
        "async with app.run():\n"
        "    print(await work.remote.aio(1), [x async for x in work.map.aio([5])])\n",
        "with app.run():\n    print(work.remote(2))\n",
        "run = app.run()\nrun.__enter__()\n",
        "print(work.remote(3))\n",
        "run.__exit__(None, None, None)\n",
    )

    said = [line for line in done.stdout.splitlines() if "working" not in line]
    assert (said, done.stderr) == (["2 [6]", "3", "4"], "")
    assert done.stdout.count("[work #0] working\n") == 4


@pytest.mark.parametrize(
    ("cell", "line", "error"),
    [
        ("with app.run():\n    slow.remote()\n", 2, "KeyboardInterrupt"),
        ("with app.run():\n    list(slow.starmap([()] * 4))\n", 2, "KeyboardInterrupt"),
        ("async with app.run():\n    await slow.remote.aio()\n", 2, "CancelledError"),
    ],
)  # fmt: skip
def test_an_interrupted_cell_shows_its_own_line_and_cancels_its_work(notebook, cell, line, error):
    done = notebook(
        "@app.function()\ndef slow():\n    print('STOP')\n    threading.Event().wait(60)\n",
        cell,
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'offload', 'status'])\n"
        "@app.function()\ndef quick():\n    return 'goes on'\n"
        "with app.run():\n    print(quick.remote())\n",
    )

    frames = [text.strip() for text in done.stderr.splitlines() if text.startswith('  File "<cell')]
    assert frames[-1] == f'File "<cell 2>", line {line}, in <module>'
    assert error in done.stderr.splitlines()[-1]
    assert "offload/sdk" not in done.stderr
    assert "0 inputs running, 0 pending" in done.stdout
    assert "goes on" in done.stdout


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
def test_a_folder_closed_to_others_stops_no_function_and_is_named_where_an_import_misses_it(
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
    folder.chmod(0o700)

    done = person("job.py")

    assert done.stdout == "ran\n"
    assert "No module named 'beside'" in done.stderr
    assert f"cannot read {folder}" in done.stderr
