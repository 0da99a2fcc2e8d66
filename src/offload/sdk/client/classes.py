"""Classes as the schema has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.wire.gen import apps_pb2
from offload.wire.parameter_messages import parameter_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from offload.sdk.class_shape import ClassShape

# The fields of a definition that say what an option does, where that is not one of the option's name.
_FIELDS = {
    "cpu": ("cpu_milli", "cpu_limit_milli"),
    "memory": ("memory_mib", "memory_limit_mib"),
    "ephemeral_disk": ("ephemeral_disk_mib",),
    "timeout": ("timeout_seconds",),
    "startup_timeout": ("startup_timeout_seconds",),
    "scaledown_window": ("scaledown_window_seconds",),
}


def fields_of(options: Iterable[str]) -> list[str]:
    """Return the fields of a definition that say what these options do."""
    return sorted(field for name in options for field in _FIELDS.get(name, (name,)))


def values(parameters: Mapping[str, object]) -> dict[str, apps_pb2.ParameterValue]:
    """Return the messages of parameters by name."""
    return {name: parameter_message(value) for name, value in parameters.items()}


def shape(described: ClassShape) -> apps_pb2.ClassShape:
    """Return the message for what a class is to its callers."""
    message = apps_pb2.ClassShape()
    for each in described.parameters:
        default = None if each.default is None else parameter_message(each.default)
        message.parameters.add(
            name=each.name, type=each.type_name, default=default, is_settable=each.is_settable
        )
    for name, is_generator in described.methods.items():
        message.methods.add(name=name, is_generator=is_generator)
    return message
