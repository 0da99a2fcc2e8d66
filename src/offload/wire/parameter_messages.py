"""Values of the parameters of classes as messages, which the SDK and the server make alike: they are part of what pools are known by."""

from __future__ import annotations

from offload.wire.gen import apps_pb2


def parameter_message(value: object) -> apps_pb2.ParameterValue:
    """Return the message for a value; what is of no other type counts as text."""
    if isinstance(value, bool):
        return apps_pb2.ParameterValue(flag=value)
    if isinstance(value, int):
        return apps_pb2.ParameterValue(number=str(value))
    if isinstance(value, bytes):
        return apps_pb2.ParameterValue(data=value)
    return apps_pb2.ParameterValue(text=str(value))
