"""Somebody without any rights on the machine gets the same."""

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.acceptance import EXAMPLES, User, wait_gone

import offload
from offload.worker.images.ids import first_free

NAME = "offload-accept"


def is_open_to_all(folder):
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents))


def interpreter_for_everyone():
    """Find one of this version that an ordinary user may start: this one may live below a closed home."""
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        real = Path(candidate).resolve()
        if real.exists() and is_open_to_all(real.parent):
            return candidate
    return None


@pytest.fixture
def ordinary():
    """Return a user with an account of their own, and the words that start a command as them."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    packages.append(str(Path(offload.__file__).parents[1]))
    python = interpreter_for_everyone()
    if os.getuid() != 0 or shutil.which("useradd") is None:
        pytest.skip("only root can make a user; the other tests are an ordinary user's then")
    if python is None or not all(is_open_to_all(Path(path)) for path in packages):
        pytest.skip("needs an interpreter and a checkout that every user may read")
    subprocess.run(["useradd", "--create-home", NAME], check=True, capture_output=True)
    try:
        account = pwd.getpwnam(NAME)
        someone = User(Path(account.pw_dir), {"PYTHONPATH": ":".join(packages)})
        os.chown(someone.folder, account.pw_uid, account.pw_gid)
        become = (
            "setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups",
            python, "-m", "offload",
        )  # fmt: skip
        yield someone, become
        someone.end()
    finally:
        subprocess.run(["userdel", "--remove", NAME], check=False, capture_output=True)


def command(someone, become, *words):
    return subprocess.run(
        [*become, *words],
        env=someone.environment,
        cwd=someone.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_an_ordinary_user_runs_the_example_and_leaves_nothing(ordinary):
    someone, become = ordinary
    program = someone.write("hello.py", (EXAMPLES / "hello.py").read_text())

    done = command(someone, become, "run", program)
    down = command(someone, become, "down")

    assert done.returncode == 0, done.stderr
    assert "square.remote: 25" in done.stdout
    assert down.returncode == 0, down.stderr
    assert wait_gone(list(someone.processes())) == []


def test_an_ordinary_user_with_a_closed_home_runs_a_program_with_a_module_beside_it(ordinary):
    someone, become = ordinary
    someone.write("beside.py", "ANSWER = 42\n")
    program = someone.write(
        "job.py",
        "import beside, offload\n"
        "app = offload.App('job')\n"
        "@app.function()\n"
        "def answer():\n"
        "    return beside.ANSWER\n",
    )
    for folder in (someone.folder, someone.home):
        folder.chmod(0o700)

    done = command(someone, become, "run", program)
    command(someone, become, "down")

    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


IMAGE = """
import offload

def give_away():
    import os
    open("/opt/file", "w").close()
    os.chown("/opt/file", 33, 33)
    os.setuid(33)
    assert os.getuid() == 33

base = offload.Image.from_registry("BASE")
plain = base.run_commands("id -u > /opt/id")
app = offload.App("images")

@app.function(image=plain)
def look():
    import os
    return open("/opt/id").read().strip(), os.getuid()

@app.function(image=plain.run_function(give_away))
def owned():
    import os
    return os.path.exists("/opt/file"), os.getuid()

@app.function(image=base.apt_install("tree"))
def apt():
    return 1
"""


def set_subordinate_ids(*, there):
    """Have the ordinary user own a range of ids, or none."""
    for file in (Path("/etc/subuid"), Path("/etc/subgid")):
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        others = [line for line in lines if not line.startswith(f"{NAME}:")]
        first = first_free(file)
        file.write_text("".join([*others, f"{NAME}:{first}:65536\n"] if there else others))


def test_an_ordinary_user_with_subordinate_ids_builds_with_many_users(ordinary, base):
    if shutil.which("newuidmap") is None:
        pytest.skip("needs uidmap")
    someone, become = ordinary
    set_subordinate_ids(there=True)
    program = someone.write("images.py", IMAGE.replace("BASE", base))

    done = command(someone, become, "run", "--json", f"{program}::owned")
    command(someone, become, "down")
    pruned = command(someone, become, "image", "prune")

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["result"] == [True, 1000]
    assert pruned.returncode == 0
    assert list(someone.data_dir.glob("workers/*/images/layers/*")) == []


def test_an_ordinary_user_without_them_is_told_how_to_get_them(ordinary, base):
    someone, become = ordinary
    set_subordinate_ids(there=False)
    program = someone.write("images.py", IMAGE.replace("BASE", base))

    plain = command(someone, become, "run", "--json", f"{program}::look")
    apt = command(someone, become, "run", f"{program}::apt")

    assert json.loads(plain.stdout)["result"] == ["0", 1000]
    assert apt.returncode != 0
    assert "apt_install needs more users" in apt.stderr
    assert "usermod --add-subuids" in apt.stderr or "apt install uidmap" in apt.stderr
