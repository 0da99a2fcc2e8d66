"""What an image is to the worker: a chain of steps as values, and what the chain has come to after each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.worker.core.content import Content

Pairs = tuple[tuple[str, str], ...]

_LABEL_CHARS = 100


@dataclass(frozen=True, slots=True)
class ImageStep:
    """One step; `digest` names it and all before it."""

    digest: str
    kind: str
    arguments: tuple[str, ...] = ()
    settings: Pairs = ()
    content: Content | None = None
    secrets: Pairs = ()

    @property
    def label(self) -> str:
        """The step in one line for a person."""
        words = " ".join(self.arguments) or " ".join(
            f"{name}={value}" for name, value in self.settings
        )
        text = " ".join(f"{self.kind} {words}".split())
        return text if len(text) <= _LABEL_CHARS else text[: _LABEL_CHARS - 1] + "…"

    def setting(self, name: str) -> str:
        """Return one of its settings; empty where it is not set."""
        return dict(self.settings).get(name, "")


@dataclass(frozen=True, slots=True)
class AttachedFiles:
    """An archive whose files are shown on top of the image."""

    content: Content
    sha256: str


@dataclass(frozen=True, slots=True)
class Image:
    """What a container's root is made of."""

    steps: tuple[ImageStep, ...]
    attached: tuple[AttachedFiles, ...] = ()
    python_version: str = ""  # which the function's code needs; empty: any

    @property
    def digest(self) -> str:
        """The name of the whole chain."""
        return self.steps[-1].digest


@dataclass(frozen=True, slots=True)
class ImageState:
    """What a chain has come to: its layers, bottom first, and how programs run in them."""

    layers: tuple[str, ...] = ()
    env: Pairs = ()
    working_dir: str = "/"
    entrypoint: tuple[str, ...] = ()
    python: str = ""  # path of the interpreter; empty: not looked for yet
    python_version: str = ""  # "3.11.2"
    label: str = field(default="", compare=False)

    def with_layer(self, layer: str) -> ImageState:
        """Return the state with a layer on top, in which there may be another interpreter."""
        return replace(self, layers=(*self.layers, layer), python="", python_version="")

    def with_python_of(self, other: ImageState) -> ImageState:
        """Return the state with the interpreter of another."""
        return replace(self, python=other.python, python_version=other.python_version)

    def with_env(self, variables: Pairs) -> ImageState:
        """Return the state with variables set."""
        return replace(self, env=tuple(sorted({**dict(self.env), **dict(variables)}.items())))
