"""Values of the parameters of classes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.control.core.classes import Value
    from offload.wire.gen import apps_pb2

# Python takes quadratic time to read a number.
_NUMBER = re.compile(r"-?[0-9]{1,1000}")


def values_of(messages: Mapping[str, apps_pb2.ParameterValue]) -> dict[str, Value]:
    """Return the values of parameters by name. Raises `DomainError` for what is none."""
    return {name: value_of(message) for name, message in messages.items()}


def value_of(message: apps_pb2.ParameterValue) -> Value:
    """Return a parameter's value. Raises `DomainError` for what is none."""
    match message.WhichOneof("value"):
        case "text":
            return message.text
        case "flag":
            return message.flag
        case "data":
            return message.data
        case "number":
            if _NUMBER.fullmatch(message.number):
                return int(message.number)
        case _:
            pass
    raise DomainError(
        ErrorCode.INVALID, "A parameter of a class has no value, or none of its type."
    )
