"""The addresses of web endpoints, for people to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.sdk.app import AnyFunction, App
    from offload.sdk.values import Deployed


def web_urls(app: App) -> list[str]:
    """Return those of an app that runs."""
    from offload.sdk.blocking import run
    from offload.sdk.web_urls import urls_of

    opened = app.current_run("the address of a web endpoint")
    functions = [function.register(opened) for _, function in _endpoints(app)]
    return run(urls_of(functions)) if functions else []


def deployed_web_urls(app: App, done: Deployed, workspace: str | None) -> list[str]:
    """Return those of the app in the version that serves."""
    from offload.sdk.blocking import run
    from offload.sdk.session import current_client
    from offload.sdk.values import AppName

    endpoints = list(_endpoints(app))

    async def find() -> list[str]:
        from offload.sdk.config import read_config
        from offload.sdk.named_class import NamedClass

        name = AppName(done.app_name, workspace or read_config().workspace or "", done.environment)
        deployments = current_client().deployments
        function_ids = []
        for each, function in endpoints:
            if function.is_class:
                found = await deployments.resolve_class(NamedClass(name, each, None), {})
                function_ids.append(found.function_id)
            else:
                function_ids.append((await deployments.resolve(name, each, None)).function_id)
        addresses = await current_client().web.addresses(function_ids)
        return [address.url for address in addresses]

    return run(find()) if endpoints else []


def _endpoints(app: App) -> Iterator[tuple[str, AnyFunction]]:
    for name, function in app.functions.items():
        if function.options.web is not None and not function.is_partial:
            yield name, function
