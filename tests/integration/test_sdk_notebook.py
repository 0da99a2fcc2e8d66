"""Cells as a notebook runs them: defined anew, awaited, interrupted."""

import pytest

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
