"""Deployed apps and their schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.ports.key_records import RemoveWebKey, SaveWebKey
from offload.control.ports.records import (
    KEPT_RUNS,
    RemoveSchedule,
    SaveDeployment,
    SaveRun,
    SaveSchedule,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.core.deployments import Deployment
    from offload.control.core.model import DeploymentKey, Function
    from offload.control.core.schedules import Schedule, ScheduledRun, ScheduleKey
    from offload.control.core.web_keys import WebKey

DeployedRecord = (
    SaveDeployment | SaveSchedule | RemoveSchedule | SaveRun | SaveWebKey | RemoveWebKey
)


def restored(
    functions: Iterable[Function], apps: set[str], called: set[str]
) -> tuple[Function, ...]:
    """Return what a server goes on with: functions of these apps, those on demand where they are `called` or kept warm."""
    return tuple(
        each
        for each in functions
        if each.app_id in apps
        and (not each.is_on_demand or each.scaling.min_containers or each.function_id in called)
    )


class Deployed:
    """What is kept of them."""

    def __init__(self) -> None:
        self._deployments: dict[DeploymentKey, Deployment] = {}
        self._schedules: dict[ScheduleKey, Schedule] = {}
        self._runs: dict[ScheduleKey, dict[tuple[float, str], ScheduledRun]] = {}
        self._web_keys: dict[str, WebKey] = {}

    def deployments(self) -> tuple[Deployment, ...]:
        """Return all of them, oldest first."""
        return tuple(self._deployments.values())

    def schedules(self) -> tuple[tuple[Schedule, tuple[ScheduledRun, ...]], ...]:
        """Return all of them with their runs, oldest first."""
        return tuple(
            (schedule, tuple(self._runs.get(key, {}).values()))
            for key, schedule in self._schedules.items()
        )

    def web_keys(self) -> tuple[WebKey, ...]:
        """Return all keys of web endpoints, by their ids."""
        return tuple(key for _, key in sorted(self._web_keys.items()))

    def idle_apps(self) -> set[str]:
        """Return the apps that are versions which do not serve."""
        return {
            version.app_id
            for deployment in self._deployments.values()
            for version in deployment.versions
            if version.number != deployment.serving
        }

    def versions(self) -> set[str]:
        """Return the apps that are versions, of which none is collected."""
        return {v.app_id for d in self._deployments.values() for v in d.versions}

    def apply(self, record: DeployedRecord) -> None:
        """Keep it."""
        match record:
            case SaveDeployment(deployment=deployment):
                self._deployments[deployment.key] = deployment
            case SaveSchedule(schedule=schedule):
                self._schedules[schedule.key] = schedule
            case RemoveSchedule(key=key):
                self._schedules.pop(key, None)
                self._runs.pop(key, None)
            case SaveWebKey(key=web_key):
                self._web_keys.setdefault(web_key.key_id, web_key)
            case RemoveWebKey(key_id=key_id):
                self._web_keys.pop(key_id, None)
            case SaveRun(key=key, run=run):
                if key not in self._schedules:
                    return
                runs = self._runs.setdefault(key, {})
                runs.setdefault((run.tick, run.call_id), run)
                last = sorted(runs.items())[-KEPT_RUNS:]
                self._runs[key] = dict(last)
