"""What an image's steps may be given; each refusal says what would be right."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk.source import PYTHON_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_VERSION = re.compile(r"3\.(9|[1-9][0-9])")
_DEBIAN_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[^\s]+)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(
    r"([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.IGNORECASE,
)


def python_version(name: str, value: object) -> str:
    """Return a minor version of Python."""
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        hint = "as a string" if isinstance(value, float) else "of at least 3.9, without a patch"
        raise InvalidError(f'{name}={value!r} is not a version {hint}: write {name}="3.11"')
    return value


def words(method: str, values: Sequence[object], example: str) -> tuple[str, ...]:
    """Return words of which there is at least one."""
    flat: list[str] = []
    for value in values:
        if isinstance(value, list | tuple):
            raise InvalidError(f"{method} takes its words one by one: write {method}(*{value!r})")
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise InvalidError(f"{method}({value!r}) is no text: write {example}")
        flat.append(value)
    if not flat:
        raise InvalidError(f"{method}() without arguments adds nothing: write {example}")
    return tuple(flat)


def debian_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of Debian packages."""
    for name in names:
        if not _DEBIAN_NAME.fullmatch(name):
            hint = (
                f": write apt_install({', '.join(map(repr, name.split()))})" if " " in name else ""
            )
            raise InvalidError(f"{name!r} is not the name of a Debian package{hint}")
    return tuple(names)


def reference(value: object) -> str:
    """Return a reference to an image in a registry."""
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        return value
    hint = ""
    if isinstance(value, str) and "://" in value:
        hint = f": write it without a scheme, {value.partition('://')[2]!r}"
    raise InvalidError(
        f"{value!r} is not a reference to an image, as in "
        f'"python:3.11-slim" or "registry.example.com/team/image:tag"{hint}'
    )


def credentials(secret: object) -> tuple[tuple[str, str], ...]:
    """Return a name and a password for a registry."""
    if secret is None:
        return ()
    if not isinstance(secret, Mapping) or set(secret) != {"username", "password"}:
        raise InvalidError(
            'secret= for a registry is {"username": "…", "password": "…"}, where a token is the password'
        )
    return variables("secret", secret)


def secrets(given: object) -> tuple[tuple[str, str], ...]:
    """Return variables that a step sees and no layer holds."""
    if given is None:
        return ()
    if not isinstance(given, Mapping):  # which may be a value, and is not shown
        raise InvalidError(
            'secrets= of a step is a dict of texts: write secrets={"TOKEN": …}. An offload.Secret is for containers, and a build '
            "has none: take the value from where this program has it, such as os.environ"
        )
    return variables("secrets", given)


def variables(what: str, given: object) -> tuple[tuple[str, str], ...]:
    """Return environment variables, sorted."""
    if not isinstance(given, Mapping):
        raise InvalidError(f'{what}={given!r} is not a dict of strings: write {{"NAME": "value"}}')
    for name, value in given.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise InvalidError(f"{what}: {name!r} is not the name of a variable")
        if not isinstance(value, str) or "\0" in value:
            raise InvalidError(f"{what}: the value of {name} is not a string")
    return tuple(sorted(given.items()))


def index_settings(
    index_url: str | None, extra_index_url: str | None, *, pre: bool
) -> tuple[tuple[str, str], ...]:
    """Return where packages come from."""
    settings = []
    for name, url in (("index_url", index_url), ("extra_index_url", extra_index_url)):
        if url is not None:
            if not str(url).startswith(("http://", "https://")):
                raise InvalidError(f"{name}={url!r} is not the address of a package index")
            settings.append((name, url))
    return (*settings, ("pre", "1")) if pre else tuple(settings)


def absolute(method: str, path: object) -> str:
    """Return a path in the container."""
    text = str(path)
    if not text.startswith("/") or ".." in text.split("/"):
        raise InvalidError(
            f'{method}: {text!r} is not an absolute path in the container: write "/{text.lstrip("./")}"'
        )
    return text


def target(path: object, name: str) -> str:
    """Return where a file called `name` goes: there, or into that folder."""
    text = absolute("add_local_file", path)
    return text + name if text.endswith("/") else text


def entrypoint(command: object) -> tuple[str, ...]:
    """Return a program and its arguments."""
    if isinstance(command, str):
        raise InvalidError(
            f"entrypoint({command!r}) is a list of words: write entrypoint({shlex.split(command)!r})"
        )
    if not isinstance(command, list | tuple) or not all(isinstance(w, str) and w for w in command):
        raise InvalidError(f"entrypoint({command!r}) is not a list of words")
    return tuple(command)


def local_file(path: object) -> Path:
    """Return a file of this machine."""
    found = Path(str(path)).expanduser().absolute()
    if found.is_dir():
        raise InvalidError(f"{path} is a folder: write add_local_dir({str(path)!r}, …)")
    if not found.is_file():
        raise InvalidError(f"there is no file {path} here (in {Path.cwd()})")
    return found


def local_folder(path: object) -> Path:
    """Return a folder of this machine."""
    found = Path(str(path)).expanduser().absolute()
    if found.is_file():
        raise InvalidError(f"{path} is a file: write add_local_file({str(path)!r}, …)")
    if not found.is_dir():
        raise InvalidError(f"there is no folder {path} here (in {Path.cwd()})")
    return found


def folder_of(path: str) -> str:
    """Return the folder a file is in."""
    return str(local_file(path).parent)


def patterns(ignore: object) -> tuple[str, ...]:
    """Return patterns of what to leave out."""
    if isinstance(ignore, str):
        raise InvalidError(f"ignore={ignore!r} is a list of patterns: write ignore=[{ignore!r}]")
    if not isinstance(ignore, list | tuple) or not all(isinstance(each, str) for each in ignore):
        raise InvalidError(f'ignore={ignore!r} is not a list of patterns like "**/*.log"')
    return tuple(ignore)


def read_text(path: object) -> str:
    """Return what a text file of this machine holds."""
    try:
        return local_file(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path} cannot be read: {error}") from None


def pyproject_dependencies(path: object, extras: Iterable[str]) -> tuple[str, ...]:
    """Return what a pyproject.toml depends on, with the named extras."""
    try:
        project = tomllib.loads(read_text(path)).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise InvalidError(f"{path} is no TOML: {error}") from None
    optional = project.get("optional-dependencies", {})
    names = list(project.get("dependencies", []))
    for extra in extras:
        if extra not in optional:
            known = f"it has {', '.join(optional)}" if optional else "it has none"
            raise InvalidError(f"{path} has no optional dependencies {extra!r}; {known}")
        names += optional[extra]
    if not names:
        raise InvalidError(f"{path} has no dependencies under [project]")
    return tuple(names)


def module_places(name: str) -> tuple[tuple[str, str], ...]:
    """Return the files or folders of an importable module, each with where it goes on the import path."""
    if "/" in name or name.endswith(".py"):
        raise InvalidError(f"{name!r} is not the name of a module: write the name that is imported")
    top = name.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise InvalidError(f"there is no module {top!r} that could be imported here")
    if spec.submodule_search_locations:
        return tuple((folder, top) for folder in spec.submodule_search_locations)
    if not spec.origin or not spec.origin.endswith(".py"):
        raise InvalidError(f"the module {top!r} has no Python source to add")
    return ((spec.origin, f"{top}.py"),)


def function_name(function: object) -> str:
    """Return the name of a function that is to run while the image is built."""
    name = getattr(function, "__name__", "")
    if not callable(function) or not name:
        raise InvalidError(
            f"run_function({function!r}) takes a function: write run_function(fetch)"
        )
    return str(name)


def is_by_value(function: object) -> bool:
    """Say whether the function's code travels, and is not imported where it runs."""
    module = str(getattr(function, "__module__", "") or "__main__")
    if module == "__main__" or getattr(function, "__name__", "") == "<lambda>":
        return True
    if "<locals>" in str(getattr(function, "__qualname__", "")):
        return True
    cloudpickle = sys.modules.get("cloudpickle")
    registered = cloudpickle.list_registry_pickle_by_value() if cloudpickle is not None else ()
    return module in registered


def by_value_version(function: object, name: str, version: str | None) -> None:
    """Refuse a function whose code the image's interpreter cannot read."""
    if version is None or version == PYTHON_VERSION or not is_by_value(function):
        return
    raise InvalidError(
        f"{name}() is sent as compiled code of Python {PYTHON_VERSION}, and its image has Python {version}: use an image "
        f'with Python {PYTHON_VERSION} (python_version="{PYTHON_VERSION}"), or put the function into a module of its own '
        f"and import it, so that the container imports it too"
    )
