"""What a container of root's worker sees of folders that are closed to everybody but their owner, tried from inside."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.acceptance import User
from tests.support.runtime_guest import GUEST_ARGV, a_spec, ask

from offload.worker.ports import LocalImage, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.ground import Ground
from offload.worker.runtimes.options import RuntimeOptions

pytestmark = pytest.mark.skipif(
    os.getuid() != 0, reason="an ordinary user's containers are its own"
)

_ALICE, _BOB = 42_001, 42_002
_OS = "__import__('os')"


def a_runtime(data_dir: Path, *, shows_private: bool = True) -> BubblewrapRuntime:
    options = RuntimeOptions(str(data_dir), shows_private=shows_private, guest_argv=GUEST_ARGV)
    try:
        return BubblewrapRuntime(options)
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def can_map(folder: Path) -> bool:
    """Tell whether this kernel maps the owners of the file system the tests write to."""

    async def scenario() -> bool:
        ground = Ground()
        places = await ground.show_private("probe", 61_184, [str(folder)])
        ground.close()
        return bool(places)

    return asyncio.run(scenario())


def private_file(path: Path, text: str, owner: int = 0) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    os.chown(path, owner, owner)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a private home that holds an app and, beside it, what nobody asked to show."""
    home = tmp_path / "home"
    app = home / "app"
    package = app / "package"
    package.mkdir(parents=True)
    private_file(home / "secret", "not asked for")
    private_file(app / "beside.py", "x = 5")
    private_file(package / "__init__.py", "y = 6")
    private_file(app / "bobs", "not the owner's", _BOB)
    for folder in (package, app, home):
        folder.chmod(0o700)
    if not can_map(app):
        pytest.skip("this kernel cannot map the owners of this file system")
    return home


async def look(runtime: BubblewrapRuntime, folder: Path, *expressions: str) -> list[object]:
    """Evaluate the expressions in a container whose image names the folder, `app` being its path."""
    python = a_spec().image.python
    paths = (str(folder), *a_spec().image.read_only_paths)
    container = await runtime.start(a_spec(image=LocalImage(python, paths, str(folder))))
    answers = [await ask(container, e.replace("APP", str(folder))) for e in expressions]
    await container.close()
    await runtime.close()
    return answers


IMPORTS = (
    "[__import__('sys').path.insert(0, 'APP'), __import__('beside').x, __import__('package').y]"
)


def test_the_named_folder_is_importable_and_the_working_directory(
    home: Path, tmp_path: Path
) -> None:
    runtime = a_runtime(tmp_path / "data")

    imported, cwd = asyncio.run(look(runtime, home / "app", IMPORTS, f"{_OS}.getcwd()"))

    assert imported == [None, 5, 6]
    assert cwd == str(home / "app")


def test_nothing_beside_the_named_folder_is_there(home: Path, tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path / "data")

    (beside,) = asyncio.run(look(runtime, home / "app", f"{_OS}.listdir('APP/..')"))

    assert beside == ["app"]


def test_what_another_user_owns_in_it_stays_closed(home: Path, tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path / "data")

    (bobs,) = asyncio.run(look(runtime, home / "app", "open('APP/bobs').read()"))

    assert str(bobs).startswith("PermissionError")


@pytest.mark.parametrize(
    "attack",
    [
        "open('APP/beside.py', 'a').close()",
        "open('APP/new', 'w').close()",
        "__import__('os').unlink('APP/beside.py')",
        "__import__('os').mkdir('APP/new')",
        "__import__('os').chmod('APP/beside.py', 0o666)",
        "__import__('os').utime('APP/beside.py')",
        "__import__('os').setxattr('APP/beside.py', 'user.x', b'x')",
        "__import__('os').link('APP/beside.py', '/tmp/beside.py')",
        "open('/proc/self/fd/%d' % __import__('os').open('APP/beside.py', 0), 'a').close()",
        "__import__('os').truncate('APP/package/__init__.py', 0)",
    ],
)
def test_nothing_in_it_can_be_changed(home: Path, tmp_path: Path, attack: str) -> None:
    runtime = a_runtime(tmp_path / "data")

    (answer,) = asyncio.run(look(runtime, home / "app", attack))

    assert str(answer).startswith(("OSError", "PermissionError"))
    assert (home / "app" / "beside.py").read_text() == "x = 5"


def test_no_socket_and_no_pipe_in_it_can_be_spoken_to(home: Path, tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path / "data")
    os.mkfifo(home / "app" / "pipe", 0o600)
    reader = os.open(home / "app" / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    # Its own path may be too long for an address.
    app = os.open(home / "app", os.O_PATH)
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"/proc/self/fd/{app}/s")
    server.listen()
    (home / "app" / "s").chmod(0o600)

    to_pipe, to_socket = asyncio.run(
        look(
            runtime,
            home / "app",
            f"{_OS}.open('APP/pipe', {os.O_WRONLY | os.O_NONBLOCK})",
            f"[{_OS}.chdir('APP'), __import__('socket').socket(1).connect('s')]",
        )
    )

    os.close(reader)
    os.close(app)
    server.close()
    assert str(to_pipe).startswith("PermissionError")
    assert str(to_socket).startswith("PermissionError")


@pytest.mark.parametrize("target", ["/etc/shadow", "../secret"])
def test_a_link_out_of_it_opens_nothing(home: Path, tmp_path: Path, target: str) -> None:
    runtime = a_runtime(tmp_path / "data")
    (home / "app" / "link").symlink_to(target)

    (answer,) = asyncio.run(look(runtime, home / "app", "open('APP/link').read()"))

    assert str(answer).startswith(("PermissionError", "FileNotFoundError"))


def test_a_device_in_it_cannot_be_opened(home: Path, tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path / "data")
    os.mknod(home / "app" / "zero", 0o600 | stat.S_IFCHR, os.makedev(1, 5))

    (answer,) = asyncio.run(look(runtime, home / "app", "open('APP/zero', 'rb').read(1)"))

    assert str(answer).startswith("PermissionError")


def test_a_setuid_program_in_it_gives_no_other_user(home: Path, tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path / "data")
    shutil.copy("/usr/bin/id", home / "app" / "id")
    (home / "app" / "id").chmod(0o6755)

    (answer,) = asyncio.run(
        look(runtime, home / "app", "__import__('subprocess').getoutput('APP/id -u; APP/id -g')")
    )

    assert answer == "1000\n1000"


def test_a_folder_of_an_ordinary_user_shows_that_users_files_only(
    home: Path, tmp_path: Path
) -> None:
    runtime = a_runtime(tmp_path / "data")
    for path in (home, home / "app", *(home / "app").rglob("*")):
        os.chown(path, _ALICE, _ALICE)
    private_file(home / "app" / "roots", "root's")

    imported, roots = asyncio.run(look(runtime, home / "app", IMPORTS, "open('APP/roots').read()"))

    assert imported == [None, 5, 6]
    assert str(roots).startswith("PermissionError")


def test_without_the_choice_a_closed_folder_stays_closed(home: Path, tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path / "data", shows_private=False)

    (answer,) = asyncio.run(look(runtime, home / "app", f"{_OS}.listdir('APP')"))

    assert str(answer).startswith(("FileNotFoundError", "PermissionError"))


@pytest.fixture
def outside() -> Iterator[Path]:
    """Return a closed folder where nothing is hidden."""
    with tempfile.TemporaryDirectory(dir="/opt") as folder:
        (Path(folder) / "app").mkdir()
        private_file(Path(folder) / "app" / "beside.py", "x = 5")
        yield Path(folder)


@pytest.mark.parametrize("name", [".", "app"])
def test_a_closed_folder_of_any_place_is_shown_where_it_is(
    outside: Path, tmp_path: Path, name: str
) -> None:
    runtime = a_runtime(tmp_path / "data")
    if not can_map(outside):
        pytest.skip("this kernel cannot map the owners of this file system")

    text, listed = asyncio.run(
        look(runtime, outside / name, f"open('{outside}/app/beside.py').read()", f"{_OS}.getcwd()")
    )

    assert (text, listed) == ("x = 5", str(outside / name))


def test_a_folder_that_became_a_link_meanwhile_is_not_shown(home: Path) -> None:
    async def scenario() -> dict[str, str]:
        ground = Ground()
        link = home / "link"
        link.symlink_to(home / "app")
        places = await ground.show_private("swapped", 61_184, [str(link), f"{link}/package"])
        ground.close()
        return places

    assert asyncio.run(scenario()) == {}


def test_what_the_file_system_cannot_map_is_left_out(home: Path) -> None:
    async def scenario() -> dict[str, str]:
        ground = Ground()
        places = await ground.show_private("mixed", 61_184, ["/proc/sys", str(home / "app")])
        ground.close()
        return places

    assert list(asyncio.run(scenario())) == [str(home / "app")]


def test_a_private_script_runs_with_what_lies_beside_it(tmp_path: Path) -> None:
    user = User(tmp_path)
    program = user.write(
        "program.py",
        "import beside, offload\n"
        "app = offload.App('private')\n"
        "@app.function()\n"
        "def f():\n    return beside.x\n"
        "@app.local_entrypoint()\n"
        "def main():\n    print('got', f.remote())\n",
    )
    private_file(user.folder / "beside.py", "x = 5")
    if not can_map(user.folder):
        pytest.skip("this kernel cannot map the owners of this file system")
    user.folder.chmod(0o700)

    done = user.run("run", program)

    user.end()
    assert done.returncode == 0, done.stderr
    assert "got 5" in done.stdout
