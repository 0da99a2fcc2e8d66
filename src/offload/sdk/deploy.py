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
from offload.sdk.registration import registration_of
from offload.sdk.session import current_client
from offload.sdk.source import modules_by_value
from offload.sdk.values import AppName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from offload.sdk.option_types import SecretChoice
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
    registrations = [registration_of(function, is_served_here=False) for function in functions]
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
    client = current_client()
    is_served_here = await client.deployments.has_worker_here()
    own = OwnSecrets()
    functions = [
        replace(
            each,
            secret_ids=await own.bind(each.options.secrets, scope),
            image_elsewhere=None if is_served_here else each.image_elsewhere,
        )
        for each in new.functions
    ]
    new = replace(new.for_app(named), functions=functions, own_secrets=own.values)
    return await client.deployments.deploy(new, output)


class OwnSecrets:
    """The secrets without a name that a deployed app takes along, each once, under keys of its own."""

    def __init__(self) -> None:
        self.values: dict[str, Mapping[str, str]] = {}
        self._keys: dict[int, str] = {}

    async def bind(
        self, secrets: Sequence[SecretChoice], scope: tuple[str, str]
    ) -> tuple[str, ...]:
        """Return by what a function names its secrets: those with a name are looked up. Raises `OffloadError`."""
        return tuple([self._key(each) or await each.bind(scope, None) for each in secrets])

    def _key(self, secret: SecretChoice) -> str:
        if secret.own_values is None:
            return ""
        key = self._keys.setdefault(id(secret), f"own-{len(self._keys)}")
        self.values[key] = secret.own_values
        return key


def check_tags(tags: object) -> dict[str, str]:
    """Refuse what are no tags."""
    if not isinstance(tags, Mapping) or not all(
        isinstance(key, str) and isinstance(value, str) and key for key, value in tags.items()
    ):
        raise InvalidError(
            f'tags={tags!r:.80} is not a dict of strings: write set_tags({{"team": "data"}})'
        )
    return dict(tags)
