"""Programs whose containers run several inputs, batches, or one input only, as a user runs them."""

from tests.support.acceptance import EXAMPLES

CROWD = """
import os
import signal
import threading
import offload

app = offload.App("crowd")

@app.function(cpu=0.5)
@offload.concurrent(max_inputs=8)
def work(number: int) -> str:
    print("input", number, "is", offload.current_input_id())
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait(0.2)
    return f"{number} remote: {not offload.is_local()}"

@app.local_entrypoint()
def main():
    print("local:", offload.is_local(), offload.current_input_id())
    for result in work.map(range(6), return_exceptions=True):
        print(result)
"""


CLASSES = """\
here: Birne
German: Apfel
Spanish: ['manzana', 'pera']
shouted: A-P-F-E-L-!
served together: {20}
goodbye from de after 1
goodbye from es after 2
"""


def test_the_example_of_classes_says_what_it_should(neighbour):
    done = neighbour.run("run", str(EXAMPLES / "classes.py"))

    assert done.returncode == 0, done.stderr
    assert done.stdout == CLASSES


def test_the_batching_example_batches_shares_and_starts_afresh(neighbour):
    done = neighbour.run("run", str(EXAMPLES / "batching.py"))

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "'a': 97" in lines
    assert "'': ValueError('no word')" in lines
    assert "50 pages by 1 process" in lines
    assert "calls seen by fresh containers: [1, 1, 1]" in lines
    assert "a batch of" in done.stdout + done.stderr


def test_a_killed_container_of_many_fails_the_guilty_input_alone(neighbour):
    program = neighbour.write("crowd.py", CROWD)

    done = neighbour.run("run", program)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "local: True None" in lines
    assert [line for line in lines if line.endswith("remote: True")] == [
        f"{number} remote: True" for number in (0, 1, 2, 4, 5)
    ]
    assert any("SIGKILL" in line for line in lines)
