"""What of a function is sent to the server: its code, what it runs in, and what it is given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from offload.sdk.client import Registration
from offload.sdk.image_choice import image_elsewhere, image_of
from offload.sdk.source import PYTHON_VERSION, describe_environment, pickle_function

if TYPE_CHECKING:
    from offload.sdk.options import FunctionOptions


class Definition(Protocol):
    """What a run asks of a function."""

    name: str
    options: FunctionOptions

    @property
    def raw_function(self) -> object:
        """What the user decorated."""
        ...

    @property
    def is_generator(self) -> bool:
        """Whether calling it gives items one by one."""
        ...


def registration_of(function: Definition, *, is_served_here: bool = True) -> Registration:
    """Pickle a function, and describe what it runs in. Raises `InvalidError` where it cannot travel.

    Where no worker `is_served_here`, on the caller's machine, what it runs in elsewhere is described too.
    """
    choice = function.options.image
    own = getattr(function.raw_function, "user_class", function.raw_function)
    image = image_of(own, function.name, choice)
    elsewhere = None
    if choice is None and not is_served_here:
        elsewhere = image_elsewhere(own)
    shape = None
    if isinstance(own, type) and own is not function.raw_function:
        from offload.sdk.class_shape import shape_of  # noqa: PLC0415 - most programs have no class

        shape = shape_of(own)
    if function.options.web is not None:
        function.options.web.resolve_hints(own)
    return Registration(
        name=function.name,
        code=pickle_function(function.raw_function, f"{function.name}()"),
        is_generator=function.is_generator,
        options=function.options,
        environment=None if image is not None else describe_environment(),
        python_version=PYTHON_VERSION,
        image=image,
        image_elsewhere=elsewhere,
        class_shape=shape,
    )


async def with_secrets(function: Registration, scope: tuple[str, str], app_id: str) -> Registration:
    """Look the function's secrets up, in a workspace and environment, for a run of its app.

    Raises `OffloadError` where there is none of a name, or it lacks a variable.
    """
    ids = [await each.bind(scope, app_id) for each in function.options.secrets]
    return replace(function, secret_ids=tuple(ids))
