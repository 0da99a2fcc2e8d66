"""Deployed apps: which version a call by name goes to, and which versions are kept. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, replace

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.model import DeploymentKey
from offload.control.core.schedules import ScheduleSpec

# Versions that are kept behind the one that serves, to roll back to or to call by number.
KEPT_VERSIONS = 10


@dataclass(frozen=True, slots=True)
class VersionSchedule:
    """When a function of a version runs by itself, and the encoded Payload that it is called with."""

    function: str
    spec: ScheduleSpec
    args: bytes


@dataclass(frozen=True, slots=True)
class AppVersion:
    """One version of a deployed app. It is an app of its own to everything that runs it: `app_id`."""

    number: int  # from 1, never used twice
    app_id: str
    digest: str  # of all that makes it what it is
    created_at: float
    functions: tuple[tuple[str, str], ...]  # (name, function id)
    schedules: tuple[VersionSchedule, ...] = ()
    tag: str = ""
    deployed_by: str = ""

    def function_id(self, name: str) -> str | None:
        """Return the id of its function of that name."""
        return dict(self.functions).get(name)


@dataclass(frozen=True, slots=True)
class Deployment:
    """An app under a name. `versions` rise; `serving` is the number of the one that calls by name go to, 0 for none.

    `last_served` is the one that served when the app was stopped, 0 while one serves.
    """

    key: DeploymentKey
    serving: int
    activated_at: float
    versions: tuple[AppVersion, ...]
    tags: tuple[tuple[str, str], ...] = ()
    last_served: int = 0

    @property
    def serving_version(self) -> AppVersion | None:
        """The version that calls by name go to."""
        return self.version(self.serving)

    def version(self, number: int) -> AppVersion | None:
        """Return the version of that number, if it is kept."""
        return next((each for each in self.versions if each.number == number), None)


@dataclass(frozen=True, slots=True)
class Switch:
    """What it takes to have another version serve."""

    deployment: Deployment
    retired: AppVersion | None  # served before: takes nothing new, ends what it began
    dropped: tuple[AppVersion, ...]  # no longer kept


def next_number(before: Deployment | None) -> int:
    """Return the number of the next version."""
    return before.versions[-1].number + 1 if before is not None and before.versions else 1


def add_version(
    key: DeploymentKey, before: Deployment | None, version: AppVersion, now: float
) -> Switch:
    """Have a new version serve in place of the one before."""
    tags = before.tags if before is not None else ()
    versions = before.versions if before is not None else ()
    after = Deployment(key, version.number, now, (*versions, version), tags)
    return _switch(before, after)


def serve_version(before: Deployment, number: int, now: float) -> Switch:
    """Have a version that is kept serve again."""
    require_version(before, number)
    return _switch(before, replace(before, serving=number, activated_at=now, last_served=0))


def stop(before: Deployment, now: float) -> Switch:
    """Have no version serve."""
    served = before.serving or before.last_served
    return _switch(before, replace(before, serving=0, activated_at=now, last_served=served))


def version_before(deployment: Deployment) -> int:
    """Return the number to roll back to: the newest before the one that serves; of a stopped app, the one that served."""
    if deployment.last_served:
        return deployment.last_served
    limit = deployment.serving or next_number(deployment)
    earlier = [each.number for each in deployment.versions if each.number < limit]
    if not earlier:
        raise DomainError(
            ErrorCode.NOT_FOUND,
            f"App {deployment.key} has no version before {deployment.serving}: "
            "`offload app history` lists those that are kept.",
        )
    return earlier[-1]


def choose_version(deployment: Deployment, number: int, tag: str) -> AppVersion:
    """Return the version that is meant: by number, else the newest with the tag, else the one that serves."""
    if number:
        return require_version(deployment, number)
    if tag:
        tagged = [each for each in deployment.versions if each.tag == tag]
        if not tagged:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"App {deployment.key} has no version with the tag {tag!r}: {_kept(deployment)}.",
            )
        return tagged[-1]
    serving = deployment.serving_version
    if serving is None:
        raise DomainError(
            ErrorCode.FAILED_PRECONDITION,
            f"App {deployment.key} is stopped: deploy it again, or start a version with `offload app rollback`.",
        )
    return serving


def choose_function(deployment: Deployment, version: AppVersion, name: str) -> str:
    """Return the id of a version's function."""
    function_id = version.function_id(name)
    if function_id is None:
        names = ", ".join(sorted(known for known, _ in version.functions))
        raise DomainError(
            ErrorCode.NOT_FOUND,
            f"Version {version.number} of app {deployment.key} has no function {name!r}; it has: {names}.",
        )
    return function_id


def require_version(deployment: Deployment, number: int) -> AppVersion:
    """Return the version of that number; raise `DomainError` where it is not kept."""
    version = deployment.version(number)
    if version is None:
        raise DomainError(
            ErrorCode.NOT_FOUND,
            f"App {deployment.key} has no version {number}: {_kept(deployment)}.",
        )
    return version


def _switch(before: Deployment | None, after: Deployment) -> Switch:
    """Keep the newest versions and the one that serves, or will again; retire the one that served."""
    wanted = {each.number for each in after.versions[-KEPT_VERSIONS - 1 :]}
    wanted |= {after.serving, after.last_served}
    kept = tuple(v for v in after.versions if v.number in wanted)
    dropped = tuple(v for v in after.versions if v not in kept)
    served = before.serving_version if before is not None else None
    retired = served if served is not None and served.number != after.serving else None
    return Switch(replace(after, versions=kept), retired, dropped)


def _kept(deployment: Deployment) -> str:
    numbers = ", ".join(str(each.number) for each in deployment.versions)
    return f"those kept are {numbers}" if numbers else "none is kept"
