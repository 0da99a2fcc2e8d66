"""A function as the schema has it, its code and contents sent ahead where they are large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from offload.sdk.client import bodies, classes, images, translate, web_endpoints
from offload.sdk.serialize import CODE_ENCODING
from offload.wire.gen import apps_pb2

if TYPE_CHECKING:
    from offload.sdk.class_shape import ClassShape
    from offload.sdk.client.connection import Connection
    from offload.sdk.image_choice import ChosenImage
    from offload.sdk.options import FunctionOptions
    from offload.sdk.values import LocalEnvironment


@dataclass(frozen=True)
class Registration:
    """A function as the server is to know it."""

    name: str
    code: bytes
    is_generator: bool
    options: FunctionOptions
    environment: LocalEnvironment | None  # None where there is an image
    python_version: str
    image: ChosenImage | None = None
    image_elsewhere: ChosenImage | None = None  # in place of the environment on other machines
    secret_ids: tuple[str, ...] = ()  # on the server
    class_shape: ClassShape | None = None  # of a class
    is_variant: bool = (
        False  # of another function of the same name, which is the one that the name leads to
    )


async def describe(connection: Connection, function: Registration) -> apps_pb2.FunctionDefinition:
    """Return the message for a function of whichever app."""
    definition = apps_pb2.FunctionDefinition(
        name=function.name,
        code=await bodies.send(connection, function.code, CODE_ENCODING),
        is_generator=function.is_generator,
        python_version=function.python_version,
        is_variant=function.is_variant,
        secrets=function.secret_ids,
    )
    if function.environment is not None:
        definition.local_image.CopyFrom(translate.local_image(function.environment))
    send = images.SendToServer(connection)
    if function.image is not None:
        definition.image.CopyFrom(await images.describe(function.image, send))
    if function.image_elsewhere is not None:
        described = await images.describe(function.image_elsewhere, send)
        definition.image_elsewhere.CopyFrom(described)
    if function.class_shape is not None:
        definition.class_shape.CopyFrom(classes.shape(function.class_shape))
    translate.set_options(definition, function.options)
    if function.options.web is not None:
        definition.web.extend(web_endpoints.describe(function.options.web))
    await _add_volumes(definition, function.options)
    return definition


async def describe_options(
    definition: apps_pb2.FunctionDefinition, options: FunctionOptions, scope: tuple[str, str]
) -> None:
    """Fill in options that are there without their function; secrets are looked up in a workspace and environment."""
    translate.set_options(definition, options)
    definition.secrets.extend([await each.bind(scope, None) for each in options.secrets])
    await _add_volumes(definition, options)


async def _add_volumes(definition: apps_pb2.FunctionDefinition, options: FunctionOptions) -> None:
    for path, volume in sorted(options.volumes.items()):
        definition.volumes.add(
            volume_id=await volume.find(),
            path=path,
            read_only=volume.is_read_only,
            sub_path=volume.mounted_path,
        )
