"""The deployed apps that there are, in memory: what the services look names up in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.core.deployments import AppVersion, Deployment
    from offload.control.core.model import DeploymentKey


class Versions:
    """Every deployed app with its versions, by name and by the app that a version is."""

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        self._deployments: dict[DeploymentKey, Deployment] = {}
        self._by_app: dict[str, tuple[DeploymentKey, int]] = {}
        self.tried: set[str] = set()  # apps that are tried out before they are versions
        for deployment in deployments:
            self.put(deployment)

    def put(self, deployment: Deployment) -> None:
        """Take what is known of a deployed app now for the truth."""
        before = self._deployments.get(deployment.key)
        for version in before.versions if before is not None else ():
            del self._by_app[version.app_id]
        self._deployments[deployment.key] = deployment
        for version in deployment.versions:
            self._by_app[version.app_id] = (deployment.key, version.number)

    def get(self, key: DeploymentKey) -> Deployment | None:
        """Return the app of that name."""
        return self._deployments.get(key)

    def require(self, key: DeploymentKey) -> Deployment:
        """Return the app of that name; raise `DomainError` that says where else there is one."""
        found = self._deployments.get(key)
        if found is not None:
            return found
        elsewhere = sorted(
            other.environment
            for other in self._deployments
            if (other.workspace, other.name) == (key.workspace, key.name)
        )
        hint = (
            f"there is one in environment {', '.join(map(repr, elsewhere))}"
            if elsewhere
            else "`offload app ls` lists those there are, and `offload deploy FILE` adds one"
        )
        raise DomainError(ErrorCode.NOT_FOUND, f"There is no deployed app {key}: {hint}.")

    def list(self) -> list[Deployment]:
        """Return all of them, oldest first."""
        return list(self._deployments.values())

    def of_app(self, app_id: str) -> tuple[Deployment, AppVersion] | None:
        """Return the deployed app that this is a version of, and the version."""
        place = self._by_app.get(app_id)
        if place is None:
            return None
        deployment = self._deployments[place[0]]
        version = deployment.version(place[1])
        return None if version is None else (deployment, version)

    def keeps(self, app_id: str) -> bool:
        """Whether the app is a version of a deployed one, or is about to be."""
        return app_id in self._by_app or app_id in self.tried

    def why_not_serving(self, app_id: str) -> DomainError | None:
        """Return what to say to a caller of a version that takes no calls; None where it is no version."""
        held = self.of_app(app_id)
        if held is None:
            return None
        deployment, version = held
        if not deployment.serving:
            return DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"App {deployment.key} is stopped: deploy it again, or start a version with `offload app rollback`.",
            )
        return DomainError(
            ErrorCode.SUPERSEDED,
            f"Version {version.number} of app {deployment.key} was replaced by version {deployment.serving}: "
            "look the function up again.",
        )
