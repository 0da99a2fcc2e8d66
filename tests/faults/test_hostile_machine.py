"""What a user reads when the machine does not play along: one line that says what to do, and no hang."""

import contextlib
import http.server
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from tests.support import no_namespaces
from tests.support.acceptance import User, wait_for_line, wait_gone
from tests.support.processes import descendants

PROGRAM = """
import os
import threading
import offload

app = offload.App("faults")

@app.function()
def echo(x: int) -> int:
    return x

@app.function()
def wait(seconds: float) -> float:
    print("working", flush=True)
    threading.Event().wait(seconds)
    return seconds

@app.function(retries=0)
def pid() -> int:
    return os.getpid()

@app.local_entrypoint()
def quick(x: int = 7):
    print(f"got {echo.remote(x)}")

@app.local_entrypoint()
def long(seconds: float = 60):
    print("begins", flush=True)
    print(wait.remote(seconds))

@app.local_entrypoint()
def lines(count: int = 20000):
    for number in range(count):
        print(number)
"""

STUBBORN = """
import threading
import offload

app = offload.App("stubborn")

# In steps: a signal that comes just before a thread begins to wait is noticed when it has waited.
def wait():
    for _ in range(600):
        threading.Event().wait(0.1)

@app.local_entrypoint()
def main():
    try:
        print("begins", flush=True)
        wait()
    finally:
        print("holding on", flush=True)
        wait()
"""

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")


def a_program(user):
    return user.write("faults.py", PROGRAM)


def quick(user):
    return user.run("run", f"{a_program(user)}::quick")


def said(done):
    """Return what a failed command said, after checking that it is for people."""
    assert "Traceback" not in done.stderr
    return done.stderr


def sandboxes(mark):
    """Return the processes of sandboxes that show the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (entry / "mountinfo").read_bytes():
                found.append(int(entry.name))
    return found


def outermost(pids):
    """Leave out the processes whose parent is among them."""
    parents = {
        pid: int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in pids
    }
    return [pid for pid in pids if parents[pid] not in parents]


@pytest.fixture
def small_disk(user):
    """Give the user a data directory on a disk of its own with little room."""
    user.data_dir.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "offload-test", str(user.data_dir)], check=True
    )
    yield user.data_dir
    user.end()
    subprocess.run(["umount", "-l", str(user.data_dir)], check=True)


@needs_root
def test_a_full_disk_is_said_and_work_goes_on_once_there_is_room(user, small_disk):
    user.run("up")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))

    refused = quick(user)
    filler.unlink()
    # The server tries its disk twice a second, so the first of these may still be refused.
    for _ in range(5):
        done = quick(user)
        if done.returncode == 0:
            break

    assert refused.returncode == 3
    assert "full" in said(refused)
    assert done.returncode == 0, done.stderr
    assert "got 7" in done.stdout


@needs_root
def test_a_stack_is_not_started_on_a_full_disk(user, small_disk):
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))

    done = user.run("up")

    assert done.returncode == 3
    assert str(small_disk) in said(done)
    assert "space" in done.stderr or "full" in done.stderr


def test_a_corrupt_database_is_named_with_what_to_do(user):
    user.run("up")
    user.run("down")
    database = user.data_dir / "offload.db"
    for file in user.data_dir.glob("offload.db-*"):
        file.unlink()
    database.write_bytes(b"this is no database " * 1000)

    done = quick(user)

    assert done.returncode == 3
    assert str(database) in said(done)
    assert user.processes() == {}


def test_a_server_of_another_version_is_refused_with_both_versions(user):
    class Other(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 4096  # head and words in one piece, as our server sends them

        def do_GET(self):
            words = b"This server speaks protocol 99, the caller another: install the same version."
            self.send_response(426)
            self.send_header("Content-Length", str(len(words)))
            self.end_headers()
            self.wfile.write(words)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        user.extra |= {
            "OFFLOAD_SERVER_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "OFFLOAD_TOKEN": "x",
        }

        done = quick(user)
        server.shutdown()

    assert done.returncode == 3
    assert "protocol 99" in said(done)
    assert len(done.stderr.splitlines()) == 1


def test_what_answers_but_is_no_server_is_said(user):
    class Another(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Another) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        user.extra |= {
            "OFFLOAD_SERVER_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "OFFLOAD_TOKEN": "x",
        }

        done = quick(user)
        server.shutdown()

    assert done.returncode == 3
    assert "not an offload server" in said(done)


def test_a_container_that_is_killed_ends_its_input_with_the_cause(user):
    process = user.start("run", f"{a_program(user)}::long")
    wait_for_line(process, "working")

    inside = sandboxes(str(user.folder))
    grounds = outermost(inside)
    for pid in set(inside) - set(grounds):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)

    assert inside
    assert process.returncode == 1
    assert "signal 9" in errors or "SIGKILL" in errors
    assert quick(user).returncode == 0


def test_a_worker_that_is_killed_leaves_no_sandbox(user):
    process = user.start("run", f"{a_program(user)}::long")
    wait_for_line(process, "working")
    inside = sandboxes(str(user.folder))
    process.kill()
    process.communicate()

    worker = user.stack()["worker_pid"]
    started = descendants(worker)
    os.kill(worker, signal.SIGKILL)

    assert inside
    assert wait_gone([*inside, *started]) == []
    # Each runtime has a ground, which removes the groups of its own containers before it ends.
    assert [
        place for place, _, _ in os.walk("/sys/fs/cgroup") if f"/offload-{worker}-" in place
    ] == []


def test_an_idle_stack_ends_itself_and_leaves_nothing(user):
    user.extra["OFFLOAD_IDLE_EXIT"] = "1"
    assert quick(user).returncode == 0

    left = wait_gone(list(user.processes()))

    assert left == []
    assert user.processes() == {}


def test_a_second_interrupt_leaves_at_once(user):
    user.write("stubborn.py", STUBBORN)
    process = user.start("run", str(user.folder / "stubborn.py"))
    wait_for_line(process, "begins")
    process.send_signal(signal.SIGINT)
    wait_for_line(process, "holding on")

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert errors.splitlines()[-1] == "offload: Interrupted again; leaving at once."


def test_output_into_head_ends_quietly(user):
    done = user.run(
        "run", f"{a_program(user)}::lines",
        prefix=("bash", "-c", 'set -o pipefail; "$@" | head -n 3', "bash"),
    )  # fmt: skip

    assert done.stdout.splitlines() == ["0", "1", "2"]
    assert "BrokenPipe" not in said(done)


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("rnu", "x.py"), 2, "run"),
        (("run", "missing.py"), 4, "missing.py"),
        (("run",), 2, "FILE"),
        (("calls", "gte", "fc-1"), 2, "get"),
        (("run", "{program}::quik"), 4, "quick"),
        (("run", "{program}::quick", "--x", "seven"), 2, "seven"),
    ],
)
def test_a_wrong_command_says_what_was_meant(user, words, code, hint):
    program = a_program(user)

    done = user.run(*(word.format(program=program) for word in words))

    assert done.returncode == code
    assert hint in said(done)
    assert user.processes() == {}


# The ordinary user may walk through a closed home, as this interpreter may live in one.
ORDINARY = (
    *("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


@pytest.fixture
def open_home():
    """Return a folder that every user may reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="offload-test-", dir="/var/tmp") as folder:  # its own
        yield Path(folder)


@needs_root
@pytest.mark.parametrize("become", [(), ORDINARY], ids=["root", "an ordinary user"])
def test_a_machine_without_user_namespaces_is_said_and_nothing_stays(open_home, become):
    user = User(open_home)
    if become:
        os.chown(user.home, 1000, 1000)
        os.chown(user.folder, 1000, 1000)
    prefix = (sys.executable, no_namespaces.__file__, *become)
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets the test make no user namespace")

    done = user.run("up", prefix=prefix)

    assert done.returncode == 3
    assert "max_user_namespaces" in said(done)
    assert user.processes() == {}
