"""`offload serve`: runs a program's app for as long as one works on it, and takes in each change of its files.

Theory of operation. This process imports the SDK once and never connects: it watches files, and forks a child for each state of
them. A child imports the program, runs its app and says so; only then is the child before it told to end. So a change costs
no start of Python, every child has fresh modules, and a program that cannot be imported leaves the one before serving.

An interrupt is let through only where this process waits, so that at each one every child is known. This command ends when all
of them have: an app whose child still runs is an app that is still there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit
from offload.cli.web_urls import web_urls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from offload.sdk.app import App

# How often files are looked at, or as often as takes a fiftieth of the time where there are many. Looking works on every file
# system; being told does not where the files are on a network.
LOOK_SECONDS = 0.05
LOOK_SHARE = 50

_ENDS = (signal.SIGINT, signal.SIGTERM)

_Stamp = tuple[int, int, int]


@click.command()
@click.argument("program", metavar="FILE")
@click.option(
    "--env", "environment", metavar="NAME", help="The environment; default: the settings', or main."
)
@click.option("--workspace", metavar="NAME", help="Whose it is; default: the settings'.")
@show.json_option
def command(*, program: str, environment: str | None, workspace: str | None, as_json: bool) -> int:
    """Run a program's app while you work on it; each change of its files is taken in at once.

    The app ends with this command. A change that cannot be imported is reported, and what ran before goes on.
    """
    if not Path(program).is_file():
        raise CliError(f"There is no file {program!r}.", Exit.NOT_FOUND)
    _import_once()
    server = _Server(program, environment, workspace, _Voice(as_json=as_json))
    return server.run()


def _import_once() -> None:
    """Import what every child needs, so that it finds it there. None of it starts a thread or a connection."""
    import cloudpickle

    import offload.cli.program
    import offload.sdk.app
    import offload.sdk.run

    del cloudpickle, offload


@dataclass(frozen=True, slots=True)
class _Voice:
    """Says what happens, for people or for programs."""

    as_json: bool

    def say(self, event: str, text: str, **facts: object) -> None:
        """Print one line."""
        line = json.dumps({"event": event, **facts}) if self.as_json else text
        print(line, flush=True)


class _Child:
    """One state of the program, in a process of its own. What it has to say comes through a pipe, once."""

    def __init__(self, pid: int, pipe: int, began: float) -> None:
        self.pid = pid
        self.news = os.fdopen(pipe)
        self.began = began

    def read(self) -> dict[str, object] | None:
        """Return what it says; None where it ended without a word."""
        line = self.news.readline()
        said: dict[str, object] | None = json.loads(line) if line else None
        return said

    def tell_to_end(self) -> None:
        """Have it end: at once while it imports, else with its app."""
        os.kill(self.pid, signal.SIGTERM)

    def has_ended(self) -> bool:
        """Tell whether it has ended; afterwards its pid is nobody's."""
        return self._reap(os.WNOHANG)

    def wait(self) -> None:
        """Wait for its end."""
        self._reap(0)

    def _reap(self, options: int) -> bool:
        if not os.waitpid(self.pid, options)[0]:
            return False
        self.news.close()
        return True


class _Server:
    """Watches, forks and replaces."""

    def __init__(
        self, program: str, environment: str | None, workspace: str | None, voice: _Voice
    ) -> None:
        self._program = program
        self._scope = (environment, workspace)
        self._voice = voice
        self._serving: _Child | None = None
        self._coming: _Child | None = None
        self._leaving: list[_Child] = []
        self._files: dict[str, _Stamp | None] = {}

    def run(self) -> int:
        """Serve until interrupted."""
        with _held_back():
            self._watch([self._program])
            self._begin(time.monotonic())
            pause = LOOK_SECONDS
            try:
                while True:
                    self._wait(pause)
                    began = time.monotonic()
                    if self._changed():
                        self._begin(began)
                    pause = max(LOOK_SECONDS, LOOK_SHARE * (time.monotonic() - began))
            except KeyboardInterrupt:
                return Exit.INTERRUPTED
            finally:
                self._end_all()

    def _wait(self, pause: float) -> None:
        """Wait for the child that is coming, or for the time to look at files again."""
        coming = self._coming
        with _let_through():
            has_come = select.select([coming.news] if coming is not None else [], [], [], pause)[0]
        self._notice_ends()
        if coming is not None and has_come:
            self._take(coming)

    def _begin(self, began: float) -> None:
        """Fork a child for the files as they are; one that has not come yet is out of date."""
        if self._coming is not None:
            self._have_leave(self._coming)
        reader, writer = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code: int = Exit.PROGRAM_FAILED
            try:
                os.close(reader)
                code = _be_child(self._program, self._scope, writer)
            except BaseException:  # noqa: BLE001  # nothing may return into the parent's code
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writer)
        self._coming = _Child(pid, reader, began)

    def _have_leave(self, child: _Child) -> None:
        child.tell_to_end()
        self._leaving.append(child)

    def _end_all(self) -> None:
        for child in (self._coming, self._serving):
            if child is not None:
                self._have_leave(child)
        with _let_through():
            for child in self._leaving:
                child.wait()

    def _take(self, child: _Child) -> None:
        """Have a child that has come serve in place of the one before, unless it failed."""
        self._coming = None
        said = child.read()
        if said is None or "error" in said:
            self._leaving.append(child)
            problem = str(said["error"]) if said is not None else "it ended while it was starting\n"
            self._watch([self._program, *self._files])
            goes_on = "; what ran before goes on" if self._serving is not None else ""
            self._voice.say(
                "failed",
                f"{problem.rstrip()}\noffload: {self._program} cannot be served{goes_on}.",
                problem=problem,
            )
            return
        files = said["files"]
        self._watch([self._program, *(files if isinstance(files, list) else [])])
        before, self._serving = self._serving, child
        seconds = time.monotonic() - child.began
        reached = {"functions": said["functions"], "urls": said["urls"]}
        text = "\n".join(f"  {line}" for line in _lines(**said))  # type: ignore[arg-type]  # as the child says it
        if before is None:
            head = f"Serving {said['app']} from {self._program}; a saved change is taken in at once, Ctrl-C ends it."
            self._voice.say("serving", f"{head}\n{text}", app=said["app"], **reached)
        else:
            self._voice.say(
                "reloaded",
                f"Reloaded in {seconds:.2f} s.\n{text}",
                seconds=seconds,
                **reached,
            )
            self._have_leave(before)

    def _notice_ends(self) -> None:
        """Forget who has left; stop where the serving child has ended by itself: its server is gone for good."""
        self._leaving = [child for child in self._leaving if not child.has_ended()]
        if self._serving is not None and self._serving.has_ended():
            self._serving = None
            raise CliError("The app ended: its server is gone.", Exit.SERVER)

    def _watch(self, files: Iterable[str]) -> None:
        self._files = {file: self._files.get(file) or _stamp(file) for file in files}

    def _changed(self) -> bool:
        """Whether a file is another one than when it was last looked at; one that is gone is awaited."""
        found = {file: _stamp(file) for file in self._files}
        changed = [f for f, stamp in found.items() if stamp is not None and stamp != self._files[f]]
        for file in changed:
            self._files[file] = found[file]
        return bool(changed)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Have what ends this command raise `KeyboardInterrupt`, but only where it is let through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    handlers = [signal.signal(number, _interrupt) for number in _ENDS]
    try:
        yield
    finally:
        for number, handler in zip(_ENDS, handlers, strict=True):
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _let_through() -> Iterator[None]:
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)


def _be_child(program: str, scope: tuple[str | None, str | None], pipe: int) -> int:
    """Run the program's app until told to end; say through the pipe that it runs, or why not."""
    from offload.cli import program as programs
    from offload.cli.exits import ProgramError
    from offload.errors import OffloadError
    from offload.sdk.source import own_modules, ship_by_value

    # Until there is an app nothing is lost, however long the program's import takes.
    for number in _ENDS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    end = threading.Event()
    environment, workspace = scope
    parent = os.getppid()
    try:
        module = programs.load(program)
        app = programs.only_app(module, program)
        ship_by_value(module)
        for number in _ENDS:
            signal.signal(number, lambda *_: end.set())
        with app.run(workspace=workspace, environment_name=environment):
            _register_all(app)
            news: dict[str, object] = {
                "app": app.name,
                "functions": list(app.functions),
                "urls": web_urls(app),
                "files": [file for _, file in own_modules()],
            }
            _tell(pipe, news)
            # A parent that was killed tells nobody.
            while not end.wait(1.0) and os.getppid() == parent:
                continue
    except ProgramError as error:
        _tell(pipe, {"error": error.report})
        return Exit.PROGRAM_FAILED
    except (CliError, OffloadError) as error:
        _tell(pipe, {"error": str(error)})
        return Exit.SERVER
    finally:
        sys.stdout.flush()
    return Exit.OK


def _register_all(app: App) -> None:
    """Send every function to the server now, in place of when each is first called."""
    from offload.sdk.blocking import run
    from offload.sdk.run import AppRun

    opened = app.current_run("offload serve")
    for function in app.functions.values():
        if not function.is_partial:
            function.register(opened)
    if isinstance(opened, AppRun):
        run(opened.prestart())


def _tell(pipe: int, news: dict[str, object]) -> None:
    with os.fdopen(pipe, "w") as writer:
        writer.write(json.dumps(news) + "\n")


def _lines(app: str, functions: list[str], urls: list[str], **_: object) -> list[str]:
    """Say of each function how it is reached."""
    return [f"{app}::{name}" for name in functions] + urls


def _stamp(file: str) -> _Stamp | None:
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
