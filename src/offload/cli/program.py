"""Loads a user's program and finds in it what to run."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import linecache
import sys
import traceback
import types
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

from offload.cli.exits import CliError, Exit, ProgramError
from offload.cli.names import unknown

if TYPE_CHECKING:
    from offload.sdk.app import AnyFunction, App


@dataclass(frozen=True, slots=True)
class Target:
    """One thing in a program that can be run: `body` is the plain function that its flags are read from."""

    name: str
    app: App
    body: types.FunctionType
    is_remote: (
        bool  # a function of the app, called in a container; else a local entrypoint, called here
    )


class _FromSource(SourceFileLoader):
    """Compiles what the file says now: a cached module of the same second and size would be taken for it."""

    def get_code(self, fullname: str) -> types.CodeType:
        """See `importlib.abc.InspectLoader`."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def load(file: str) -> types.ModuleType:
    """Import a program as its own module, with its folder importable. Raises `CliError` and `ProgramError`."""
    path = Path(file)
    if not path.exists():
        raise CliError(f"There is no file {file!r}.", Exit.NOT_FOUND)
    if path.is_dir() or path.suffix != ".py":
        raise CliError(f"{file!r} is not a Python file (its name should end in .py).")
    path = path.absolute()
    # As `python FILE` does, so that what lies beside the program can be imported; a link's own folder counts for nothing.
    folder = path.resolve().parent
    sys.path.insert(0, str(folder))
    root, package = _package(folder)
    name = _free_name(package, path.stem)
    if "." in name:
        sys.path.insert(1, str(root))
    loader = _FromSource(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise CliError(f"{file!r} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001  # whatever the program raises while it is imported
        raise ProgramError(f"{file} cannot be imported: {describe(error)}", report(error)) from None
    return module


def load_module(name: str) -> types.ModuleType:
    """Import a module by its name, from the current folder too. Raises `CliError` and `ProgramError`."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise CliError(
                f"There is no module {name!r}: name one that can be imported from here, or a file that ends in .py.",
                Exit.NOT_FOUND,
            ) from None
        raise ProgramError(f"{name} cannot be imported: {describe(error)}", report(error)) from None
    except Exception as error:  # noqa: BLE001  # whatever the program raises while it is imported
        raise ProgramError(f"{name} cannot be imported: {describe(error)}", report(error)) from None


def only_app(module: types.ModuleType, file: str) -> App:
    """Return the app that a program defines: the one that no other one includes."""
    apps = _apps(module)
    if not apps:
        raise CliError(f'{file} has no app. Give it one:\n\n    app = offload.App("name")')
    if len(apps) > 1:
        names = ", ".join(repr(app.name) for app in apps)
        raise CliError(
            f"{file} has several apps ({names}): have one of them `.include()` the others, or deploy them from files "
            "of their own."
        )
    return apps[0]


def _package(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the names of the packages that `folder` is, outermost first, and the folder they are imported from."""
    names: list[str] = []
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, tuple(names)


def _free_name(package: tuple[str, ...], stem: str) -> str:
    """Choose the name to import a program by: inside its package, so that its relative imports work."""
    names = (*package, stem)
    if not all(name.isidentifier() for name in names) or names[0] in sys.modules:
        return "_program"
    return ".".join(names)


def choose(module: types.ModuleType, file: str, name: str) -> Target:
    """Pick the entrypoint called `name`; without one, the only entrypoint, else the only function."""
    targets = _targets(module)
    if not targets:
        raise CliError(
            f"{file} has nothing to run. Give it an app with an entrypoint:\n\n"
            '    app = offload.App("name")\n\n    @app.local_entrypoint()\n    def main():\n        ...'
        )
    if name:
        for target in targets:
            if target.name == name:
                return target
        raise CliError(
            unknown(f"entrypoint or function in {file} called", name, [t.name for t in targets]),
            Exit.NOT_FOUND,
        )
    local = [target for target in targets if not target.is_remote]
    candidates = local or targets
    if len(candidates) == 1:
        return candidates[0]
    choices = "\n".join(f"    offload run {file}::{target.name}" for target in candidates)
    raise CliError(f"{file} has several things to run. Choose one:\n{choices}")


def describe(error: BaseException) -> str:
    """Return the line that Python would print for an error: its type and message, without notes added to it."""
    shown = traceback.TracebackException.from_exception(error, limit=0)
    shown.__notes__ = None
    return list(shown.format_exception_only())[-1].strip()


def is_from(module: types.ModuleType, error: BaseException) -> bool:
    """Say whether the program was running when the error was raised, and not only offload on its way to it."""
    return any(
        frame.filename == module.__file__ for frame in traceback.extract_tb(error.__traceback__)
    )


def report(error: BaseException) -> str:
    """Return the error's traceback as Python prints it, without the frames of offload around the user's."""
    linecache.checkcache()
    shown = traceback.TracebackException.from_exception(error)
    for part in _chain(shown):
        part.stack[:] = _users(part.stack)
    lines = list(shown.format())
    if not shown.stack and lines and lines[0].startswith("Traceback"):
        lines = lines[1:]  # a syntax error in the file itself has no frame of the user's to show
    return "".join(lines)


def functions(module: types.ModuleType) -> list[Target]:
    """Return every function of the program's apps."""
    return [target for target in _targets(module) if target.is_remote]


def choose_function(module: types.ModuleType, file: str, name: str) -> AnyFunction:
    """Pick the function or class called `name`; without one, the only one. Raises `CliError`."""
    found = {each.name: each for app in _apps(module) for each in app.functions.values()}
    if name in found:
        return found[name]
    if not name and len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise CliError(f"{file} has no functions: decorate one with @app.function().")
    if not name:
        choices = "\n".join(f"    {file}::{each}" for each in found)
        raise CliError(f"{file} has several functions. Choose one:\n{choices}")
    raise CliError(
        unknown(f"function or class in {file} called", name, list(found)), Exit.NOT_FOUND
    )


def _chain(
    part: traceback.TracebackException | None,
) -> list[traceback.TracebackException]:
    if part is None:
        return []
    return [part, *_chain(part.__cause__), *_chain(part.__context__)]


_PACKAGE = str(Path(__file__).parent.parent)
_CONTEXTS = contextlib.__file__


def _users(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    theirs = [
        frame for frame in stack if not frame.filename.startswith((_PACKAGE, "<frozen importlib"))
    ]
    # Our own context managers enter through contextlib before the first line of the program.
    while theirs and theirs[0].filename == _CONTEXTS:
        theirs.pop(0)
    return theirs


def _plain(function: object, name: str) -> types.FunctionType:
    if not isinstance(function, types.FunctionType):
        raise CliError(
            f"{name!r} is a {type(function).__name__}; its flags can be read from a `def` only."
        )
    return function


def _apps(module: types.ModuleType) -> list[App]:
    """Return the apps that a program defines, without those that another of them includes."""
    from offload.sdk.app import App

    apps = {id(value): value for value in vars(module).values() if isinstance(value, App)}
    parts = {id(other) for app in apps.values() for other in app.with_included()[1:]}
    return [app for app in apps.values() if id(app) not in parts]


def _targets(module: types.ModuleType) -> list[Target]:
    found = []
    for app in _apps(module):
        for name, entrypoint in app.entrypoints.items():
            found.append(Target(name, app, _plain(entrypoint.function, name), is_remote=False))
        for name, function in app.functions.items():
            if (
                not function.is_class
            ):  # a program's entrypoint says which method is called with which parameters
                found.append(Target(name, app, _plain(function.raw_function, name), is_remote=True))
    return found
