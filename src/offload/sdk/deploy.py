"""Deploying an app: its functions become the next version under its name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk import fingerprint
from offload.sdk.client.deployments import NewVersion
from offload.sdk.config import read_config
from offload.sdk.identity import whoever_runs_this
from offload.sdk.registration import registration_of, with_secrets
from offload.sdk.session import current_client
from offload.sdk.source import modules_by_value
from offload.sdk.values import AppName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.sdk.registration import Definition
    from offload.sdk.values import Deployed, Output


def prepare(
    app: AppName,
    functions: Iterable[Definition],
    tags: Mapping[str, str],
    *,
    tag: str | None,
    check: bool,
) -> NewVersion:
    """Pickle the functions. Raises `InvalidError` where there is none, or one cannot travel."""
    registrations = [registration_of(function) for function in functions]
    if not registrations:
        raise InvalidError(
            f"the app {app.name!r} has no functions to deploy: decorate one with @app.function()"
        )
    return NewVersion(
        app,
        registrations,
        [fingerprint.of_code(each.code) for each in registrations],
        fingerprint.of_files(modules_by_value()),
        tag=tag or "",
        app_tags=tags,
        deployed_by=whoever_runs_this(),
        skip_check=not check,
    )


async def deploy(new: NewVersion, output: Output) -> Deployed:
    """Have it serve; return once it does."""
    config = await asyncio.to_thread(read_config)
    named = new.app.completed(config.workspace, config.environment)
    scope = (named.workspace, named.environment)
    functions = [await with_secrets(each, scope, None) for each in new.functions]
    new = replace(new.for_app(named), functions=functions)
    return await current_client().deployments.deploy(new, output)


def check_tags(tags: object) -> dict[str, str]:
    """Refuse what are no tags."""
    if not isinstance(tags, Mapping) or not all(
        isinstance(key, str) and isinstance(value, str) and key for key, value in tags.items()
    ):
        raise InvalidError(
            f'tags={tags!r:.80} is not a dict of strings: write set_tags({{"team": "data"}})'
        )
    return dict(tags)
