"""Somebody without any rights on the machine gets the same."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.acceptance import EXAMPLES, User, wait_gone

import offload

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
