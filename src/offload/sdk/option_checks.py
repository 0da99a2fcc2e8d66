"""Whether a value is what an option can be. Pure; what refuses says what was written and how to write it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from offload.errors import InvalidError


def parse_gpus(value: object) -> tuple[int, str]:
    """Return the number of devices and their kind ("": any)."""
    if value is None:
        return (0, "")
    if isinstance(value, int) and not isinstance(value, bool):
        check_whole("gpu", value, 0, 1000)
        return (value, "")
    if isinstance(value, str):
        kind, colon, count = value.strip().partition(":")
        how_many = count if colon else "1"
        if kind and how_many.isdecimal() and 1 <= int(how_many) <= 1000:
            return (int(how_many), "" if kind == "any" else kind)
    raise InvalidError(
        f'gpu={value!r} is not a request for devices: write gpu="H100", gpu="H100:2", or gpu=2 for two of any kind'
    )


def check_image(image: object) -> None:
    """Refuse what is no image."""
    if image is None or isinstance(getattr(image, "is_local", None), bool):
        return
    example = (
        f"offload.Image.from_registry({image!r})"
        if isinstance(image, str)
        else "offload.Image.debian_slim()"
    )
    raise InvalidError(f"image={image!r} is not an image: write image={example}")


def check_secrets(secrets: object) -> None:
    """Refuse what is no list of secrets."""
    if isinstance(secrets, list | tuple):
        wrong = [each for each in secrets if getattr(each, "is_secret", None) is not True]
        if not wrong:
            return
        # It may be a value: it is not shown.
        raise InvalidError(
            f"secrets=[…] holds a {type(wrong[0]).__name__}, which is no secret: write "
            'secrets=[offload.Secret.from_name("my-secret")]'
        )
    raise InvalidError(
        f"secrets= is a {type(secrets).__name__}, not a list: write "
        'secrets=[offload.Secret.from_name("my-secret")]'
    )


def check_schedule(schedule: object) -> None:
    """Refuse what is no schedule."""
    if schedule is None or getattr(schedule, "is_schedule", None) is True:
        return
    example = f"Cron({schedule!r})" if isinstance(schedule, str) else "Period(minutes=5)"
    raise InvalidError(f"schedule={schedule!r} is not a schedule: write schedule=offload.{example}")


def check_labels(labels: object) -> None:
    """Refuse what are no labels."""
    if not isinstance(labels, Mapping):
        raise InvalidError(
            f'labels={labels!r} is not a dict of strings: write labels={{"zone": "a"}}'
        )
    for key, value in labels.items():
        if not (isinstance(key, str) and isinstance(value, str)) or not key or "=" in key:
            raise InvalidError(
                f"labels[{key!r}]={value!r}: a label is a string with a string, as a worker's --label KEY=VALUE"
            )


def check_whole(name: str, value: object, low: int, high: int, unit: str = "") -> None:
    """Refuse what is not a whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidError(f"{name}={value!r} is not a whole number{' of ' + unit if unit else ''}")
    check_number(name, value, low, high, unit)


def check_number(name: str, value: object, low: float, high: float, unit: str = "") -> None:
    """Refuse what is not a number from `low` to `high`."""
    of_unit = f" of {unit}" if unit else ""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidError(f"{name}={value!r} is not a number{of_unit}")
    if not low <= value <= high:
        bound = f"at least {low:g}" if value < low else f"at most {high:g}"
        raise InvalidError(f"{name}={value!r} is out of range: it is {bound}{unit and ' ' + unit}")


def request_and_limit(name: str, value: object, example: str) -> tuple[object, ...]:
    """Return what is to be checked of a number or a pair of them."""
    if not isinstance(value, tuple | list):
        return (value,)
    if not isinstance(value, tuple) or len(value) != 2:
        raise InvalidError(
            f"{name}={value!r} is neither a number nor (request, limit) in {example}"
        )
    request, limit = value
    for number in value:
        check_number(name, number, 0, math.inf, unit="MiB" if name == "memory" else "cores")
    if limit < request:
        raise InvalidError(
            f"{name}={value!r}: the limit {limit:g} is below the request {request:g}; write (request, limit) in {example}"
        )
    return value
