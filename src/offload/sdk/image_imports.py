"""Importing what only an image has: placeholders here, the real modules where the function runs."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType


class ImageImports(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """See `Image.imports`."""

    def __init__(self) -> None:
        self._made: list[str] = []

    def __enter__(self) -> None:
        sys.meta_path.append(self)  # the last: it is asked only for what nobody else finds

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.meta_path.remove(self)
        # Other code asks whether a module is there by importing it, and must not find a placeholder.
        for name in self._made:
            sys.modules.pop(name, None)
        self._made.clear()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the protocol's signature
        target: ModuleType | None = None,  # noqa: ARG002  # as above
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a placeholder for any module, except below a package that is here in truth."""
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if parent is not None and not isinstance(parent, Placeholder):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Make the placeholder."""
        self._made.append(spec.name)
        return Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave it empty."""


class Placeholder(ModuleType):
    """A module that is in the image and not here. It travels as its name."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return importlib.import_module, (self.__name__,)

    def __getattr__(self, name: str) -> PlaceholderName:
        if name.startswith("__"):
            raise AttributeError(name)
        return PlaceholderName(self, name)


class PlaceholderName:
    """Something of a module that is not here. It travels as its name, and can do nothing else."""

    def __init__(self, owner: Placeholder | PlaceholderName, name: str) -> None:
        self._owner = owner
        self._name = name

    def __reduce__(self) -> tuple[object, tuple[object, str]]:
        return getattr, (self._owner, self._name)

    def __repr__(self) -> str:
        owner = getattr(self._owner, "__name__", None) or repr(self._owner)
        return f"{owner}.{self._name}"

    def __getattr__(self, name: str) -> PlaceholderName:
        if name.startswith("__"):
            raise AttributeError(name)
        return PlaceholderName(self, name)

    def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse to be called here."""
        raise ImportError(
            f"{self!r} is only in the image: it can be used inside the functions that run there, not here"
        )
