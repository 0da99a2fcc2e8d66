"""Where web endpoints are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk.session import current_client
from offload.wire import guest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.sdk.run import RegisteredFunction


async def url_of(function: RegisteredFunction, name: str, target: str) -> str:
    """Return the address of an endpoint, `target` being its method in a class. Raises `InvalidError` where it has none."""
    if guest.find_platform is not None:
        raise InvalidError(
            f"{name}.get_web_url() is known where the app is run or deployed, and not inside a container: pass it on"
        )
    for address in await current_client().web.addresses([await function.function_id()]):
        if address.target == target:
            return address.url
    raise InvalidError(
        f"{name}() has no address: it is no web endpoint, or not of an app that serves"
    )


async def urls_of(functions: Iterable[RegisteredFunction]) -> list[str]:
    """Return the addresses of all endpoints of these functions."""
    function_ids = [await function.function_id() for function in functions]
    addresses = await current_client().web.addresses(function_ids)
    return [address.url for address in addresses]
