"""Finding an image's Python, and whether it is the one that a function's code needs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from offload.worker.core.images import Image, ImageState
    from offload.worker.images.sandbox import Result

_NAMES = ("python3", "python")
_OLDEST = (3, 9)
_ASK = "import json, platform, sys; print(json.dumps([sys.executable, platform.python_version()]))"


async def find_python(
    ask: Callable[[tuple[str, ...]], Awaitable[Result]], state: ImageState
) -> ImageState:
    """Return the state with its interpreter, where the image has one: what its PATH finds first.

    `ask` runs a command in the image and keeps nothing of it.
    """
    for name in _NAMES:
        result = await ask((name, "-I", "-S", "-c", _ASK))
        if result.code == 0 and result.first_line.startswith("["):
            python, version = json.loads(result.first_line)
            return replace(state, python=str(python), python_version=str(version))
    return state


def check_version(image: Image, state: ImageState) -> None:
    """Raise `ImageError` where the image's interpreter cannot run the function's code."""
    if not state.python:
        raise ImageError(
            "the image has no Python on its PATH: give it one with add_python=, or with apt_install"
        )
    minor = ".".join(state.python_version.split(".")[:2])
    if tuple(map(int, minor.split("."))) < _OLDEST:
        raise ImageError(
            f"the image has Python {state.python_version}; containers need {_OLDEST[0]}.{_OLDEST[1]} or later"
        )
    if image.python_version and image.python_version != minor:
        raise ImageError(
            f"the function is sent as compiled code of Python {image.python_version}, and its image has Python {minor}: "
            f"use an image with Python {image.python_version}, or put the function into a module of its own and import "
            f"it, so that the container imports it too"
        )
