"""Which image a function is sent with, and what of the caller's goes along with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.sdk.image import Image
    from offload.sdk.image_content import Files
    from offload.sdk.option_types import ImageChoice


@dataclass(frozen=True)
class ChosenImage:
    """An image with what its function needs beside it."""

    image: Image
    sources: tuple[Files, ...]  # the program's own modules
    is_by_value: bool  # the function's code travels, so that the interpreter has to be of the caller's version


def image_of(function: object, name: str, choice: ImageChoice | None) -> ChosenImage | None:
    """Return the image for a function, or None for the caller's own environment.

    Raises `InvalidError` where the image's interpreter is known to be of another version than the function's code.
    """
    if choice is None or choice.is_local:
        return None
    from offload.sdk.image import Image
    from offload.sdk.image_checks import by_value_version, is_by_value
    from offload.sdk.image_source import program_modules

    assert isinstance(choice, Image), "checked where it was given"  # noqa: S101  # a bug here
    by_value_version(function, f"{name}", choice.python_version)
    return ChosenImage(choice, program_modules(), is_by_value(function))


def image_elsewhere(function: object) -> ChosenImage:
    """Return what stands in for the caller's own environment on other machines: a minimal Debian with the same Python."""
    from offload.sdk.image import Image
    from offload.sdk.image_checks import is_by_value
    from offload.sdk.image_source import program_modules

    return ChosenImage(Image.debian_slim(), program_modules(), is_by_value(function))
