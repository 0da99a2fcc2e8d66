"""Deployed apps: a new version is tried out, takes the place of the one before, and that one ends what it began.

A version is an app of its own: it has its functions, its containers, its calls and its lines of output. What makes it the
one that calls by name go to is one record, written together with the version itself; so a server that dies in the middle
of a deployment comes back with the version before.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from offload.control.core import deployments as core
from offload.control.core.deployments import AppVersion, Deployment
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import AppStopped, FunctionRegistered
from offload.control.core.model import DEFAULT_ENVIRONMENT, DEFAULT_WORKSPACE, DeploymentKey
from offload.control.core.objects import Scope, check_environment
from offload.control.ports.records import EndApp, SaveApp, SaveDeployment, SaveFunction
from offload.control.services.apps import check_function
from offload.control.services.trial import Trial
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from offload.control.core.dispatch import PoolView
    from offload.control.core.model import Function
    from offload.control.ports.records import Record
    from offload.control.services.apps import Apps
    from offload.control.services.classes import Classes
    from offload.control.services.kernel import Kernel
    from offload.control.services.reading import Reading
    from offload.control.services.schedules import Schedules
    from offload.control.services.secrets import OwnSecrets, Secrets
    from offload.control.services.versions import Versions

MAX_NAME_CHARACTERS = 64
MAX_TAG_CHARACTERS = 200
MAX_TAGS = 50

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is to be deployed. The functions carry `app_id` and ids made with it."""

    key: DeploymentKey
    app_id: str
    digest: str  # of all that makes it what it is
    functions: Sequence[Function]
    schedules: tuple[core.VersionSchedule, ...] = ()
    tag: str = ""
    app_tags: tuple[tuple[str, str], ...] = ()
    deployed_by: str = ""
    skip_check: bool = False
    own_secrets: OwnSecrets = ()


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment came to."""

    version: AppVersion
    replaced: int = 0  # the number of the version that served before; 0: none did
    is_unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Touched:
    """What a deployment changes beside what is deployed."""

    apps: Apps
    versions: Versions
    schedules: Schedules
    classes: Classes
    secrets: Secrets


class Deployments:
    """Puts versions in place of one another."""

    def __init__(self, kernel: Kernel, reading: Reading, touched: Touched) -> None:
        self._kernel = kernel
        self._reading = reading
        self._apps = touched.apps
        self._versions = touched.versions
        self._schedules = touched.schedules
        self._classes = touched.classes
        self._secrets = touched.secrets
        self._busy: set[DeploymentKey] = set()

    def new_app_id(self) -> str:
        """Return an id for a version that is to be deployed."""
        return f"ap-{secrets.token_hex(13)}"

    async def deploy(self, new: NewVersion) -> AsyncIterator[list[PoolView] | Deployed]:
        """Have new functions serve under the name, once they have loaded; yield progress, and at last the result."""
        self._check(new)
        async with self._alone(new.key):
            before = self._versions.get(new.key)
            if before is not None and new.app_tags:
                before = replace(before, tags=new.app_tags)
            serving = before.serving_version if before is not None else None
            if before is not None and serving is not None and await self._is_same(serving, new):
                await self._save(before)
                yield Deployed(serving, is_unchanged=True)
                return
            now = self._kernel.clock.now()
            named = [
                replace(
                    self._without_warm(function),
                    app_name=new.key.name,
                    workspace=new.key.workspace,
                    environment=new.key.environment,
                )
                for function in new.functions
            ]
            version = AppVersion(
                core.next_number(before), new.app_id, new.digest, now,
                tuple((f.name, f.function_id) for f in named), new.schedules, new.tag, new.deployed_by,
            )  # fmt: skip
            async with self._with_secrets(new):
                async for pools in self._try(version, named, skip=new.skip_check):
                    yield pools
                switch = core.add_version(new.key, before, version, now)
                if before is None and new.app_tags:
                    tagged = replace(switch.deployment, tags=new.app_tags)
                    switch = replace(switch, deployment=tagged)
                app = SaveApp(new.app_id, new.key.name, now, new.key.workspace, new.key.environment)
                await self._switch(before, switch, (app, *map(SaveFunction, named)))
            yield Deployed(version, switch.retired.number if switch.retired else 0)

    async def rollback(
        self, key: DeploymentKey, number: int
    ) -> AsyncIterator[list[PoolView] | Deployed]:
        """Have a version that is kept serve again, once its functions have loaded."""
        async with self._alone(key):
            before = self._versions.require(key)
            number = number or core.version_before(before)
            version = core.require_version(before, number)
            if before.serving == number:
                yield Deployed(version, is_unchanged=True)
                return
            store = self._reading.store
            functions = [
                await self._reading.get(store.function, function_id)
                for _, function_id in version.functions
            ]
            found = [function for function in functions if function is not None]
            async for pools in self._try(version, found, skip=False):
                yield pools
            switch = core.serve_version(before, number, self._kernel.clock.now())
            await self._switch(before, switch, ())
            yield Deployed(version, switch.retired.number if switch.retired else 0)

    async def stop(self, key: DeploymentKey, *, cancel: bool, reason: str) -> None:
        """Take no more calls by the name; what runs goes on, unless `cancel`. Idempotent."""
        async with self._alone(key):
            before = self._versions.require(key)
            serving = before.serving_version
            switch = core.stop(before, self._kernel.clock.now())
            await self._save(switch.deployment)
            if serving is not None:
                reason = reason or "its app was stopped"
                self._apps.retire(serving.app_id, cancel=cancel, reason=reason)
                self._schedules.follow(switch.deployment)

    def resolve(
        self, key: DeploymentKey, function: str, number: int, tag: str
    ) -> tuple[AppVersion, str]:
        """Return the version that is meant and the id of its function."""
        deployment = self._versions.require(key)
        version = core.choose_version(deployment, number, tag)
        return version, core.choose_function(deployment, version, function)

    async def is_generator(self, function_id: str) -> bool:
        """Say whether a function of any kept version yields items."""
        known = self._kernel.dispatcher.function(function_id)
        if known is None:
            known = await self._reading.get(self._reading.store.function, function_id)
        return known is not None and known.is_generator

    def describe(self, key: DeploymentKey) -> Deployment:
        """Return a deployed app."""
        return self._versions.require(key)

    def open_calls(self) -> dict[str, int]:
        """Count the unfinished calls of each app that is a version."""
        return self._kernel.dispatcher.open_calls()

    async def set_tags(
        self, key: DeploymentKey, tags: dict[str, str], remove: Sequence[str]
    ) -> Deployment:
        """Change the tags of an app."""
        _check_tags(tuple(tags.items()))
        async with self._alone(key):
            before = self._versions.require(key)
            kept = {name: value for name, value in before.tags if name not in remove} | tags
            return await self._save(replace(before, tags=tuple(sorted(kept.items()))))

    async def tag_version(self, key: DeploymentKey, number: int, tag: str) -> Deployment:
        """Give one version a tag; 0 is the one that serves."""
        _check_text("tag", tag, MAX_TAG_CHARACTERS)
        async with self._alone(key):
            before = self._versions.require(key)
            wanted = core.choose_version(before, number, "")
            tagged = tuple(replace(v, tag=tag) if v is wanted else v for v in before.versions)
            return await self._save(replace(before, versions=tagged))

    def of_workspace(self, workspace: str, environment: str) -> list[Deployment]:
        """List the deployed apps of a workspace, in one of its environments or in all."""
        wanted = workspace or DEFAULT_WORKSPACE
        return [
            deployment
            for deployment in self._versions.list()
            if deployment.key.workspace == wanted
            and environment in ("", deployment.key.environment)
        ]

    async def _try(
        self, version: AppVersion, functions: Sequence[Function], *, skip: bool
    ) -> AsyncIterator[list[PoolView]]:
        """Start a container of each function; raise `DomainError` that says why one cannot load it."""
        for function in functions:
            self._kernel.apply(FunctionRegistered(function))
        tried = [function for function in functions if not self._needs_parameters(function)]
        try:
            if not skip:
                async for pools in Trial(self._kernel, version.app_id, tried).run():
                    yield pools
        except BaseException:
            gave_up = AppStopped(
                version.app_id, cancel=False, reason="it did not take over", keeps_attached=True
            )
            self._kernel.apply(gave_up)
            raise

    async def _is_same(self, serving: AppVersion, new: NewVersion) -> bool:
        return serving.digest == new.digest and await self._secrets.has_own(
            serving.app_id, new.own_secrets
        )

    @asynccontextmanager
    async def _with_secrets(self, new: NewVersion) -> AsyncIterator[None]:
        """Keep what the version has for itself: after this only if it has become one."""
        self._versions.tried.add(new.app_id)
        try:
            scope = Scope(new.key.workspace, new.key.environment)
            await self._secrets.put_own(new.app_id, scope, new.own_secrets)
            yield
        finally:
            self._versions.tried.discard(new.app_id)

    def _without_warm(self, function: Function) -> Function:
        """Keep no container of a class for which somebody has to give parameters first."""
        if not self._needs_parameters(function):
            return function
        return replace(function, scaling=replace(function.scaling, min_containers=0))

    def _needs_parameters(self, function: Function) -> bool:
        shape = self._classes.shape_of(function)
        return shape is not None and shape.needs_parameters

    async def _switch(
        self, before: Deployment | None, switch: core.Switch, saved: Sequence[Record]
    ) -> None:
        after = switch.deployment
        serving = after.serving_version
        if serving is None:
            return
        now = self._kernel.clock.now()
        ends = [EndApp(dropped.app_id, now) for dropped in switch.dropped]
        try:
            await self._kernel.journal.durable((*saved, SaveDeployment(after), *ends))
        except DomainError:
            # What the store would not take now it takes later; so it must end with what is true.
            undone = before or replace(after, serving=0, versions=())
            self._kernel.journal.write([SaveDeployment(undone)])
            if saved:
                self._kernel.journal.write([EndApp(serving.app_id, now)])
            self._apps.retire(serving.app_id, cancel=False, reason="it did not take over")
            raise
        self._versions.put(after)
        self._apps.serve(
            serving.app_id, after.key.name, Scope(after.key.workspace, after.key.environment)
        )
        for function in self._kernel.dispatcher.on_demand(serving.app_id):
            self._kernel.apply(FunctionRegistered(function))  # which ended what it began before
        if switch.retired is not None:
            reason = f"version {serving.number} took over"
            self._apps.retire(switch.retired.app_id, cancel=False, reason=reason)
        self._schedules.follow(after)
        await self._kernel.journal.flush()
        log_event(
            _log, logging.INFO, "version_serves",
            app=after.key.name, environment=after.key.environment, version=serving.number,
        )  # fmt: skip

    async def _save(self, deployment: Deployment) -> Deployment:
        """Keep a deployed app that there is, changed."""
        journal = self._kernel.journal
        journal.require_working()
        try:
            await journal.durable((SaveDeployment(deployment),))
        except DomainError:
            # What the store would not take now it takes later; so it must end with what is true.
            journal.write([SaveDeployment(self._versions.require(deployment.key))])
            raise
        self._versions.put(deployment)
        return deployment

    @asynccontextmanager
    async def _alone(self, key: DeploymentKey) -> AsyncIterator[None]:
        """Let nobody else change the app meanwhile; raise `DomainError` where somebody does."""
        if key in self._busy:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"App {key} is being changed by somebody else: try again when that is done.",
            )
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)

    def _check(self, new: NewVersion) -> None:
        self._kernel.journal.require_working()
        check_key(new.key)
        _check_text("tag", new.tag, MAX_TAG_CHARACTERS)
        _check_tags(new.app_tags)
        if not new.functions:
            raise DomainError(
                ErrorCode.INVALID,
                f"App {new.key.name!r} has no functions to deploy: decorate one with @app.function().",
            )
        names = [function.name for function in new.functions]
        for function in new.functions:
            check_function(function)
            if names.count(function.name) > 1:
                raise DomainError(
                    ErrorCode.INVALID,
                    f"App {new.key.name!r} has {names.count(function.name)} functions called {function.name!r}: "
                    "give each a name of its own.",
                )
        for each in new.schedules:
            self._schedules.check(each)


def deployment_key(name: str, workspace: str, environment: str) -> DeploymentKey:
    """Return what a name means where some of it is left to the defaults."""
    return DeploymentKey(
        workspace or DEFAULT_WORKSPACE, environment or DEFAULT_ENVIRONMENT, name.strip()
    )


def check_key(key: DeploymentKey) -> None:
    """Raise `DomainError` for what no deployed app can be called."""
    _check_text("workspace", key.workspace, 100)
    check_environment(key.environment)
    _check_text("name", key.name, MAX_NAME_CHARACTERS)
    if not key.name or key.name.startswith("ap-"):
        raise DomainError(
            ErrorCode.INVALID,
            f"{key.name!r} is no name of an app: write one that is not empty and does not begin with 'ap-'.",
        )


def _check_tags(tags: tuple[tuple[str, str], ...]) -> None:
    if len(tags) > MAX_TAGS:
        raise DomainError(ErrorCode.INVALID, f"An app has at most {MAX_TAGS} tags.")
    for name, value in tags:
        _check_text("name of a tag", name, MAX_NAME_CHARACTERS)
        _check_text("value of a tag", value, MAX_TAG_CHARACTERS)


def _check_text(what: str, text: str, limit: int) -> None:
    if len(text) > limit or (text and not text.isprintable()):
        raise DomainError(
            ErrorCode.INVALID,
            f"{text[:80]!r} is no {what}: at most {limit} printable characters.",
        )
