"""Dockerfiles of one stage, as the steps of an image."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from offload.errors import InvalidError
from offload.sdk import image_checks as check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# What says something about an image and changes none of its files. Containers are started by the worker, as an ordinary
# user, whatever the image says.
_DESCRIPTIVE = {
    "LABEL", "MAINTAINER", "EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "CMD", "ENTRYPOINT", "ONBUILD",
}  # fmt: skip
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_][A-Za-z0-9_]*)\1")
_REFERENCE = re.compile(r"\\\$|\$(\w+)|\$\{(\w+)(?:(:[-+])([^}]*))?\}")


class Steps(Protocol):
    """What instructions become; see `offload.Image`."""

    def run_commands(self, *commands: str, force_build: bool = False) -> Self:
        """Run a command."""
        ...

    def env(self, variables: Mapping[str, str]) -> Self:
        """Set variables."""
        ...

    def workdir(self, path: str) -> Self:
        """Set the folder."""
        ...

    def add_local_file(self, local_path: str, remote_path: str, *, copy: bool = False) -> Self:
        """Add a file."""
        ...

    def add_local_dir(
        self, local_path: str, remote_path: str, *, copy: bool = False, ignore: Iterable[str] = ()
    ) -> Self:
        """Add a folder."""
        ...


S = TypeVar("S", bound=Steps)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name in capitals and the rest of its line, or lines."""

    name: str
    rest: str
    line: int


@dataclass(frozen=True, slots=True)
class Instructions:
    """The instructions after FROM; `where` names their file."""

    items: tuple[Instruction, ...]
    where: str

    def apply(
        self, image: S, context_dir: str, *, workdir: str = "/", force_build: bool = False
    ) -> S:
        """Return the image, whose folder is `workdir`, with these steps. Raises `InvalidError` that names the line."""
        build = _Build(image, Path(context_dir), workdir, force_build=force_build)
        for instruction in self.items:
            try:
                build.take(instruction)
            except InvalidError as error:
                raise InvalidError(
                    f"{self.where}, line {instruction.line} ({instruction.name}): {error}"
                ) from None
        return build.image


def read_dockerfile(path: str) -> tuple[str, Instructions]:
    """Return the base image of a Dockerfile and what comes after."""
    parsed = parse_instructions(check.read_text(path), path, is_whole=True)
    variables: dict[str, str] = {}
    for number, instruction in enumerate(parsed.items):
        if instruction.name == "ARG":
            _declare(variables, instruction.rest)
            continue
        if instruction.name != "FROM":
            raise InvalidError(f"{path}, line {instruction.line}: the first instruction is FROM")
        words = [w for w in instruction.rest.split() if not w.startswith("--platform")]
        rest = tuple(parsed.items[number + 1 :])
        second = next((i for i in rest if i.name == "FROM"), None)
        if second is not None:
            raise InvalidError(
                f"{path}, line {second.line}: Dockerfiles of several stages are not built here; build it with docker, push "
                f"it to a registry and write Image.from_registry(…)"
            )
        return _substitute(words[0], variables), Instructions(rest, path)
    raise InvalidError(f"{path} has no FROM instruction")


def parse_instructions(text: str, where: str, *, is_whole: bool = False) -> Instructions:
    """Cut a text into instructions: comments, continued lines and here-documents are as Docker reads them."""
    lines = text.splitlines()
    items: list[Instruction] = []
    number = 0
    while number < len(lines):
        start = number
        line, number = _logical_line(lines, number)
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ")
        body, number = _heredocs(rest, lines, number, f"{where}, line {start + 1}")
        items.append(Instruction(name.upper(), body.strip(), start + 1))
        if not is_whole and name.upper() == "FROM":
            raise InvalidError(
                f"{where}, line {start + 1}: FROM is for Image.from_dockerfile(); here the image is the base already"
            )
    return Instructions(tuple(items), where)


def _logical_line(lines: list[str], number: int) -> tuple[str, int]:
    """Join lines that end with a backslash; comments between them do not count."""
    parts: list[str] = []
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.lstrip().startswith("#") or (parts and not line.strip()):
            if not parts:
                return "", number
            continue
        if not line.rstrip().endswith("\\"):
            parts.append(line)
            break
        parts.append(line.rstrip()[:-1])
    return "".join(parts), number


def _heredocs(rest: str, lines: list[str], number: int, where: str) -> tuple[str, int]:
    body = rest
    for match in _HEREDOC.finditer(rest):
        end = match[2]
        while True:
            if number >= len(lines):
                raise InvalidError(f"{where}: the here-document {end} does not end")
            line = lines[number]
            number += 1
            body += "\n" + line
            if line.strip() == end:
                break
    return body, number


class _Build(Generic[S]):
    """Applies instructions to an image, one after the other."""

    def __init__(self, image: S, context: Path, workdir: str, *, force_build: bool) -> None:
        self.image = image
        self._context = context
        self._force_build = force_build
        self._shell: list[str] | None = None
        self._user = ""
        self._workdir = workdir
        self._variables: dict[str, str] = {}
        self._arguments: dict[str, str] = {}  # of ARG, in the environment of RUN only
        self._take: dict[str, Callable[[str], None]] = {
            "RUN": self._run, "COPY": self._copy, "ADD": self._copy, "ENV": self._env, "WORKDIR": self._set_workdir,
            "ARG": self._arg, "USER": self._set_user, "SHELL": self._set_shell,
        }  # fmt: skip

    def take(self, instruction: Instruction) -> None:
        """Apply one."""
        if instruction.name in _DESCRIPTIVE:
            return
        take = self._take.get(instruction.name)
        if take is None:
            raise InvalidError(f"there is no instruction {instruction.name}")
        take(instruction.rest)

    def _run(self, rest: str) -> None:
        if self._user not in ("", "root", "0"):
            raise InvalidError(
                f"commands are run as root here, not as {self._user}: move USER to the end, where it counts for nothing, as "
                "containers always run as an ordinary user"
            )
        if rest.startswith("--"):
            raise InvalidError("options of RUN (--mount, --network) are not known here")
        words = _json_words(rest)
        if words is not None:
            command = shlex.join(words)
        elif self._shell is not None:
            command = shlex.join([*self._shell, rest])
        else:
            match = _HEREDOC.match(rest)
            command = _script(rest) if match else rest
        exports = "".join(
            f"export {name}={shlex.quote(value)}; " for name, value in self._arguments.items()
        )
        self.image = self.image.run_commands(exports + command, force_build=self._force_build)

    def _copy(self, rest: str) -> None:
        words = _json_words(rest) or shlex.split(self._expand(rest))
        options = [word for word in words if word.startswith("--")]
        for option in options:
            if option.startswith("--from"):
                raise InvalidError(
                    "files of other stages or images cannot be copied here: build it with docker"
                )
            if not option.startswith("--link"):
                raise InvalidError(f"the option {option.partition('=')[0]} is not known here")
        places = [word for word in words if not word.startswith("--")]
        if len(places) < 2:
            raise InvalidError("it takes sources and a destination")
        *sources, target = places
        into = target if target.startswith("/") else f"{self._workdir.rstrip('/')}/{target}"
        is_folder = target.endswith(("/", ".")) or len(sources) > 1
        into = into.removesuffix("/.").removesuffix(".").rstrip("/") or "/"
        for source in sources:
            self._copy_one(source, into, is_folder=is_folder)

    def _copy_one(self, source: str, into: str, *, is_folder: bool) -> None:
        if "://" in source:
            raise InvalidError(f"{source} is not a local file: fetch it with RUN")
        found = (
            sorted(self._context.glob(source.lstrip("/"))) if source not in (".", "./", "/") else []
        )
        matches = found or [self._context / source.lstrip("/")]
        for path in matches:
            if not path.resolve().is_relative_to(self._context.resolve()):
                raise InvalidError(f"{source} lies outside of the context {self._context}")
            if path.is_dir():
                ignore = self._dockerignore() if path.resolve() == self._context.resolve() else ()
                self.image = self.image.add_local_dir(str(path), into, copy=True, ignore=ignore)
            else:
                target = f"{into.rstrip('/')}/" if is_folder or len(matches) > 1 else into
                self.image = self.image.add_local_file(str(path), target, copy=True)

    def _dockerignore(self) -> tuple[str, ...]:
        file = self._context / ".dockerignore"
        if not file.is_file():
            return ()
        lines = (line.strip() for line in file.read_text().splitlines())
        return tuple(line for line in lines if line and not line.startswith("#"))

    def _env(self, rest: str) -> None:
        variables = _pairs(self._expand(rest))
        self._variables.update(variables)
        self.image = self.image.env(variables)

    def _arg(self, rest: str) -> None:
        _declare(self._arguments, self._expand(rest))

    def _set_workdir(self, rest: str) -> None:
        path = self._expand(rest).strip("\"'")
        self._workdir = path if path.startswith("/") else f"{self._workdir.rstrip('/')}/{path}"
        self.image = self.image.workdir(self._workdir)

    def _set_user(self, rest: str) -> None:
        self._user = rest.partition(":")[0]

    def _set_shell(self, rest: str) -> None:
        self._shell = _json_words(rest)
        if not self._shell:
            raise InvalidError('it takes a list: SHELL ["/bin/bash", "-c"]')

    def _expand(self, text: str) -> str:
        return _substitute(text, {**self._arguments, **self._variables})


def _script(rest: str) -> str:
    first, _, body = rest.partition("\n")
    if first.partition(">")[2].split()[
        1:
    ]:  # a command that reads the document, as the shell understands it
        return rest
    match = _HEREDOC.match(first)
    is_alone = match is not None and not first[match.end() :].strip()
    return "\n".join(body.splitlines()[:-1]) if is_alone else rest


def _json_words(rest: str) -> list[str] | None:
    if not rest.startswith("["):
        return None
    try:
        words: object = json.loads(rest)
    except ValueError:
        return None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    return words


def _pairs(text: str) -> dict[str, str]:
    """Read `A=1 B="2 3"`, or the older `A 1`."""
    words = shlex.split(text)
    if not words:
        raise InvalidError("it takes NAME=VALUE")
    if "=" not in words[0]:
        name, _, value = text.strip().partition(" ")
        return {name: value.strip()}
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals:
            raise InvalidError(f"{name!r} is not NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _declare(variables: dict[str, str], rest: str) -> None:
    for word in shlex.split(rest):
        name, equals, value = word.partition("=")
        if equals:
            variables[name] = _substitute(value, variables)


def _substitute(text: str, variables: dict[str, str]) -> str:
    """Replace $NAME, ${NAME}, ${NAME:-default} and ${NAME:+other} of variables that are known; others stay."""

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("\\"):
            return "$"
        name = match[1] or match[2]
        known = variables.get(name, "")
        if match[3] == ":-":
            return known or match[4]
        if match[3] == ":+":
            return match[4] if known else ""
        return known if name in variables else match[0]

    return _REFERENCE.sub(value, text)
