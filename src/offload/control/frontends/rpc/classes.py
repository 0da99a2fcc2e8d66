"""Classes in the definitions of functions. See `Definitions`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from offload.control.core.classes import Changes, ClassMethod, ClassParameter, ClassShape
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.model import ON_DEMAND_PREFIX
from offload.control.frontends.rpc.apps import function_of
from offload.control.frontends.rpc.parameters import value_of
from offload.wire.gen import apps_pb2
from offload.wire.parameter_messages import parameter_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.control.core.classes import Value
    from offload.control.core.model import Function

# What callers of a deployed class may have otherwise. What its code needs to be what it is, and what would keep containers
# warm that nobody asks for any more, is not among it.
CHANGEABLE = frozenset((
    "batching", "buffer_containers", "concurrency", "cpu_limit_milli", "cpu_milli", "env", "ephemeral_disk_mib", "gpu", "labels",
    "max_containers", "memory_limit_mib", "memory_mib", "retries", "scaledown_window_seconds", "secrets",
    "single_use_containers", "startup_timeout_seconds", "timeout_seconds", "volumes",
))  # fmt: skip


class EncodedDefinitions:
    """See `Definitions`."""

    def shape(self, function: Function) -> ClassShape | None:
        """See `Definitions`."""
        definition = apps_pb2.FunctionDefinition.FromString(function.body)
        if not definition.HasField("class_shape"):
            return None
        parameters = tuple(
            ClassParameter(
                each.name,
                each.type,
                value_of(each.default) if each.HasField("default") else None,
                each.is_settable,
            )
            for each in definition.class_shape.parameters
        )
        methods = tuple(
            ClassMethod(each.name, each.is_generator) for each in definition.class_shape.methods
        )
        return ClassShape(parameters, methods)

    def with_parameters(
        self, base: Function, name: str, values: Mapping[str, Value], changes: Changes
    ) -> Function:
        """See `Definitions`."""
        definition = apps_pb2.FunctionDefinition.FromString(base.body)
        methods = len(definition.class_shape.methods)
        _change(definition, changes)
        if "batching" in changes.fields and methods > 1:
            raise DomainError(
                ErrorCode.INVALID,
                f"{base.name} has {methods} methods: a batch is of one, so a batched one needs a class of its own.",
            )
        definition.name = name
        definition.min_containers = 0
        definition.ClearField("class_shape")  # asked of the class alone
        for each, value in values.items():
            definition.parameters[each].CopyFrom(parameter_message(value))
        made = function_of(definition, base.app_id, ON_DEMAND_PREFIX)
        return replace(
            made,
            app_name=base.app_name,
            workspace=base.workspace,
            environment=base.environment,
        )


def _change(definition: apps_pb2.FunctionDefinition, changes: Changes) -> None:
    wrong = sorted(set(changes.fields) - CHANGEABLE)
    if wrong:
        raise DomainError(
            ErrorCode.INVALID,
            f"{wrong[0]} of {definition.name} is what it was deployed with: change it in its program and deploy that again.",
        )
    changed = apps_pb2.FunctionDefinition.FromString(changes.body)
    for field, _ in changed.ListFields():
        if field.name not in changes.fields:
            changed.ClearField(field.name)
    for name in changes.fields:
        definition.ClearField(name)
    definition.MergeFrom(changed)
