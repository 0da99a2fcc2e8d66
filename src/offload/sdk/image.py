"""Images: what a container's root is made of, described step by step."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from offload.errors import InvalidError
from offload.sdk import image_checks as check
from offload.sdk.image_content import Files, PickledCall, Text, source_files
from offload.sdk.source import PYTHON_VERSION
from offload.wire.images import SOURCE_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from offload.sdk.image_content import Content

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Step:
    """One step of an image; see `ImageStep` in the schema."""

    kind: str
    arguments: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    content: Content | None = None
    secrets: tuple[tuple[str, str], ...] = ()


def _checked(method: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise

    return checked


@dataclass(frozen=True, repr=False)
class Image:
    """A file system for containers. Start with one of the sources; every method returns a new image.

    Nothing is built until a function with the image is called; what was built once is used again by every image that
    begins with the same steps. `force_build` on a step builds it and all after it anew, once in each run of a program.
    """

    steps: tuple[Step, ...] = ()
    attached: tuple[Files, ...] = ()
    python_version: str | None = None  # as far as it is known before anything is built

    def __repr__(self) -> str:
        return f"<Image {' → '.join(step.kind for step in self.steps) or 'local'}>"

    def __reduce__(self) -> tuple[type[Image], tuple[()]]:
        return (Image, ())  # a container has its root and needs no description of it

    @property
    def is_local(self) -> bool:
        """Whether this is the caller's own environment."""
        return not self.steps

    # --- sources ---

    @staticmethod
    def local() -> Image:
        """Return the caller's own Python environment, shown read-only to containers on the caller's machine."""
        return Image()

    @staticmethod
    @_checked
    def debian_slim(python_version: str | None = None, *, force_build: bool = False) -> Image:
        """Return a minimal Debian with Python; the default is the caller's own version of it."""
        version = check.python_version("python_version", python_version or PYTHON_VERSION)
        step = Step("debian_slim", (), (("python", version),))
        return Image(python_version=version).with_step(step, force_build=force_build)

    @staticmethod
    @_checked
    def from_registry(
        ref: str,
        *,
        secret: Mapping[str, str] | None = None,
        add_python: str | None = None,
        force_build: bool = False,
    ) -> Image:
        """Return an image from an OCI registry, as in "python:3.11-slim" or "registry.example.com/team/image@sha256:…".

        `secret` is {"username": …, "password": …}; `add_python` adds that version of Python where the image has none.
        A tag is looked up once per worker; name a digest, or use `force_build`, where it moves.
        """
        checked = check.reference(ref)
        step = Step("registry", (checked,), (), None, check.credentials(secret))
        image = Image().with_step(step, force_build=force_build)
        return image if add_python is None else image.add_python(add_python)

    @staticmethod
    @_checked
    def from_dockerfile(
        path: str,
        *,
        context_dir: str | None = None,
        secret: Mapping[str, str] | None = None,
        add_python: str | None = None,
        force_build: bool = False,
    ) -> Image:
        """Return the image that a Dockerfile of one stage describes; `context_dir` is its folder unless given."""
        from offload.sdk.dockerfile import read_dockerfile

        base, rest = read_dockerfile(path)
        image = Image.from_registry(
            base, secret=secret, add_python=add_python, force_build=force_build
        )
        return rest.apply(image, context_dir or check.folder_of(path))

    # --- steps ---

    @_checked
    def pip_install(
        self,
        *packages: str,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        pre: bool = False,
        secrets: Mapping[str, str] | None = None,
        force_build: bool = False,
    ) -> Image:
        """Add Python packages, written as for pip ("numpy==2.1", "pandas>=2")."""
        settings = check.index_settings(index_url, extra_index_url, pre=pre)
        names = check.words("pip_install", packages, 'pip_install("numpy", "pandas==2.2.3")')
        step = Step("pip_install", names, settings, None, check.secrets(secrets))
        return self.with_step(step, force_build=force_build)

    # Packages are installed by uv either way; the name is for those who look for it.
    uv_pip_install = pip_install

    @_checked
    def pip_install_from_requirements(
        self,
        path: str,
        *,
        index_url: str | None = None,
        extra_index_url: str | None = None,
        secrets: Mapping[str, str] | None = None,
        force_build: bool = False,
    ) -> Image:
        """Add the Python packages that a requirements file names. The file is read now."""
        settings = check.index_settings(index_url, extra_index_url, pre=False)
        content = Text(check.read_text(path))
        step = Step("pip_requirements", (), settings, content, check.secrets(secrets))
        return self.with_step(step, force_build=force_build)

    @_checked
    def pip_install_from_pyproject(
        self,
        path: str,
        optional_dependencies: Iterable[str] = (),
        *,
        secrets: Mapping[str, str] | None = None,
        force_build: bool = False,
    ) -> Image:
        """Add the dependencies of a pyproject.toml, and those of the named extras. The file is read now."""
        names = check.pyproject_dependencies(path, tuple(optional_dependencies))
        step = Step("pip_install", names, (), None, check.secrets(secrets))
        return self.with_step(step, force_build=force_build)

    @_checked
    def apt_install(self, *packages: str, force_build: bool = False) -> Image:
        """Add Debian packages; the image has to be a Debian or Ubuntu."""
        names = check.words("apt_install", packages, 'apt_install("git", "ffmpeg")')
        return self.with_step(
            Step("apt_install", check.debian_names(names)), force_build=force_build
        )

    @_checked
    def run_commands(
        self,
        *commands: str,
        secrets: Mapping[str, str] | None = None,
        force_build: bool = False,
    ) -> Image:
        """Run shell commands as root; each that fails ends the build."""
        lines = check.words("run_commands", commands, 'run_commands("make install", "ldconfig")')
        image = self
        for line in lines:
            # One by one, so that the one that fails is named, and those before it are kept.
            step = Step("run_commands", (line,), (), None, check.secrets(secrets))
            image = image.with_step(step, force_build=force_build and image is self)
        return image

    @_checked
    def run_function(  # type: ignore[explicit-any]  # a function of any signature
        self,
        function: Callable[..., object],
        *,
        args: Iterable[object] = (),
        kwargs: Mapping[str, object] | None = None,
        secrets: Mapping[str, str] | None = None,
        force_build: bool = False,
    ) -> Image:
        """Call a Python function in the image and keep what it changes of the file system, such as a model it fetches."""
        raw = getattr(function, "raw_function", function)
        name = check.function_name(raw)
        check.by_value_version(raw, name, self.python_version)
        content = PickledCall(raw, tuple(args), dict(kwargs or {}), name)
        step = Step("run_function", (name,), (), content, check.secrets(secrets))
        return self.with_step(step, force_build=force_build)

    @_checked
    def env(self, variables: Mapping[str, str]) -> Image:
        """Set environment variables, for later steps and for the function."""
        return self.with_step(Step("env", (), check.variables("env", variables)), needs_files=False)

    @_checked
    def workdir(self, path: str) -> Image:
        """Set the folder in which later steps and the function run; it is made where it is missing."""
        return self.with_step(
            Step("workdir", (check.absolute("workdir", path),)), needs_files=False
        )

    @_checked
    def entrypoint(self, command: Iterable[str]) -> Image:
        """Set a program that is started in place of the function's runner, with the runner's command as its arguments.

        It has to `exec` them in the end. That of a base image counts for nothing.
        """
        words = check.entrypoint(command)
        return self.with_step(Step("entrypoint", words), needs_files=False)

    @_checked
    def dockerfile_commands(
        self, *commands: str, context_dir: str | None = None, force_build: bool = False
    ) -> Image:
        """Apply instructions of a Dockerfile: RUN, COPY, ADD of local files, ENV, WORKDIR, SHELL and those that only describe."""
        from offload.sdk.dockerfile import parse_instructions

        lines = check.words(
            "dockerfile_commands", commands, 'dockerfile_commands("RUN make", "ENV A=1")'
        )
        rest = parse_instructions("\n".join(lines), "dockerfile_commands()")
        workdir = next((s.arguments[0] for s in reversed(self.steps) if s.kind == "workdir"), "/")
        return rest.apply(self, context_dir or ".", workdir=workdir, force_build=force_build)

    # --- files of the caller's machine ---

    @_checked
    def add_local_file(self, local_path: str, remote_path: str, *, copy: bool = False) -> Image:
        """Add a file. It is attached when containers start, so that changing it builds nothing; `copy` makes it a layer.

        A `remote_path` that ends with "/" is the folder to put it in.
        """
        local = check.local_file(local_path)
        return self._add(Files(((str(local), check.target(remote_path, local.name)),)), copy=copy)

    @_checked
    def add_local_dir(
        self,
        local_path: str,
        remote_path: str,
        *,
        copy: bool = False,
        ignore: Iterable[str] = (),
    ) -> Image:
        """Add a folder's content; `ignore` are patterns as in a .dockerignore. For `copy` see `add_local_file`."""
        local = check.local_folder(local_path)
        patterns = check.patterns(ignore)
        target = check.absolute("add_local_dir", remote_path)
        return self._add(Files(((str(local), target),), patterns), copy=copy)

    @_checked
    def add_local_python_source(
        self, *modules: str, copy: bool = False, ignore: Iterable[str] = ()
    ) -> Image:
        """Add modules that can be imported here, so that the function can import them. For `copy` see `add_local_file`."""
        names = check.words("add_local_python_source", modules, 'add_local_python_source("my_lib")')
        places = [
            (path, f"{SOURCE_DIR}/{target}")
            for name in names
            for path, target in check.module_places(name)
        ]
        return self._add(source_files(places, check.patterns(ignore)), copy=copy)

    def imports(self) -> AbstractContextManager[None]:
        """Return a context in which modules that only the image has can be imported.

        One that is missing here is replaced by a placeholder, which becomes the module where the function runs.
        """
        from offload.sdk.image_imports import ImageImports

        return ImageImports()

    # --- how they are put together ---

    def _add(self, files: Files, *, copy: bool) -> Image:
        if copy:
            return self.with_step(Step("add_files", (), (), files))
        self._check_not_local()
        return replace(self, attached=(*self.attached, files))

    @_checked
    def add_python(self, version: str) -> Image:
        """Add an interpreter of a version beside what the image has, as a release that runs on any Linux with glibc."""
        checked = check.python_version("add_python", version)
        image = replace(self, python_version=checked)
        return image.with_step(Step("add_python", (checked,)))

    def with_step(
        self, step: Step, *, needs_files: bool = True, force_build: bool = False
    ) -> Image:
        """Return the image with a step that was checked already; `needs_files` where it may look at files."""
        if step.kind not in ("debian_slim", "registry"):
            self._check_not_local()
        if self.attached and needs_files:
            raise InvalidError(
                f"{step.kind} after files that were added without copy=True: those are attached when containers start, so "
                f"no step sees them. Add them last, or write copy=True."
            )
        if force_build:
            step = replace(step, settings=(*step.settings, ("built_anew", os.urandom(8).hex())))
        return replace(self, steps=(*self.steps, step))

    def _check_not_local(self) -> None:
        if self.is_local:
            raise InvalidError(
                "Image.local() is your own environment, shown as it is: to add to it, install it there, or start from "
                "offload.Image.debian_slim()"
            )
