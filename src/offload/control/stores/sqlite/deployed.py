"""Deployed apps and their schedules: written and read one by one, because there are few."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING

from offload.control.core.deployments import AppVersion, Deployment, VersionSchedule
from offload.control.core.model import DeploymentKey
from offload.control.core.schedules import (
    Missed,
    Overlap,
    RunState,
    Schedule,
    ScheduledRun,
    ScheduleKey,
    ScheduleSpec,
)
from offload.control.core.web_keys import WebKey
from offload.control.ports.key_records import RemoveWebKey, SaveWebKey
from offload.control.ports.records import (
    KEPT_RUNS,
    RemoveSchedule,
    SaveDeployment,
    SaveRun,
    SaveSchedule,
)
from offload.control.ports.store import StoreError
from offload.control.stores.sqlite.statements import statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

DeployedRecord = (
    SaveDeployment | SaveSchedule | RemoveSchedule | SaveRun | SaveWebKey | RemoveWebKey
)


def save(connection: sqlite3.Connection, records: Sequence[DeployedRecord]) -> None:
    """Carry the records out in their order."""
    for record in records:
        match record:
            case SaveDeployment(deployment=deployment):
                _save_deployment(connection, deployment)
            case SaveSchedule(schedule=schedule):
                _save_schedule(connection, schedule)
            case RemoveSchedule(key=key):
                _run(connection, "remove_runs", **key._asdict())
                _run(connection, "remove_schedule", **key._asdict())
            case SaveRun(key=key, run=run):
                _run(connection, "save_run", **key._asdict(), **_run_values(run))
                _run(connection, "forget_runs", **key._asdict(), kept=KEPT_RUNS)
            case SaveWebKey(key=web_key):
                _run(connection, "save_web_key", **asdict(web_key))
            case RemoveWebKey(key_id=key_id):
                _run(connection, "remove_web_key", key_id=key_id)


def deployments(connection: sqlite3.Connection) -> tuple[Deployment, ...]:
    """Return all of them, oldest first."""
    versions: dict[int, list[AppVersion]] = defaultdict(list)
    for row in _run(connection, "versions"):
        versions[row["deployment_key"]].append(_version(row))
    return tuple(
        Deployment(
            DeploymentKey(row["workspace"], row["environment"], row["name"]),
            row["serving"],
            row["activated_at"],
            tuple(versions[row["deployment_key"]]),
            tuple((name, value) for name, value in json.loads(row["tags"])),
            row["last_served"],
        )
        for row in _run(connection, "deployments")
    )


def schedules(
    connection: sqlite3.Connection,
) -> tuple[tuple[Schedule, tuple[ScheduledRun, ...]], ...]:
    """Return all of them with their runs, oldest first."""
    runs: dict[int, list[ScheduledRun]] = defaultdict(list)
    for row in _run(connection, "runs"):
        state = RunState(row["state"])
        runs[row["schedule_key"]].append(
            ScheduledRun(row["tick"], row["at"], state, row["call_id"], row["reason"])
        )
    return tuple(
        (_schedule(row), tuple(runs[row["schedule_key"]])) for row in _run(connection, "schedules")
    )


def web_keys(connection: sqlite3.Connection) -> tuple[WebKey, ...]:
    """Return all keys of web endpoints, by their ids."""
    return tuple(WebKey(*row) for row in _run(connection, "web_keys"))


def _save_deployment(connection: sqlite3.Connection, deployment: Deployment) -> None:
    ((key,),) = _run(
        connection,
        "save_deployment",
        **deployment.key._asdict(),
        serving=deployment.serving,
        last_served=deployment.last_served,
        activated_at=deployment.activated_at,
        tags=json.dumps(deployment.tags),
    ).fetchall()
    _run(connection, "forget_versions", deployment_key=key)
    for version in deployment.versions:
        saved = _run(
            connection,
            "save_version",
            deployment_key=key,
            number=version.number,
            is_serving=version.number == deployment.serving,
            app_id=version.app_id,
            digest=version.digest,
            created_at=version.created_at,
            functions=json.dumps(version.functions),
            schedules=json.dumps(
                [
                    (s.function, asdict(s.spec), base64.b64encode(s.args).decode())
                    for s in version.schedules
                ]
            ),
            tag=version.tag,
            deployed_by=version.deployed_by,
        )
        if not saved.rowcount:
            raise StoreError(
                f"Version {version.number} of app {deployment.key.name!r} is the app {version.app_id}, "
                "which was never saved."
            )


def _save_schedule(connection: sqlite3.Connection, schedule: Schedule) -> None:
    _run(
        connection,
        "save_schedule",
        **schedule.key._asdict(),
        spec=json.dumps(asdict(schedule.spec)),
        anchor=schedule.anchor,
        cursor=schedule.cursor,
        args=schedule.args,
        is_paused=schedule.is_paused,
    )


def _schedule(row: sqlite3.Row) -> Schedule:
    return Schedule(
        ScheduleKey(row["workspace"], row["environment"], row["app"], row["function"]),
        _spec(json.loads(row["spec"])),
        row["anchor"],
        row["cursor"],
        row["args"],
        bool(row["is_paused"]),
    )


def _version(row: sqlite3.Row) -> AppVersion:
    schedules = tuple(
        VersionSchedule(function, _spec(spec), base64.b64decode(args))
        for function, spec, args in json.loads(row["schedules"])
    )
    functions = tuple((name, function_id) for name, function_id in json.loads(row["functions"]))
    return AppVersion(
        row["number"], row["app_id"], row["digest"], row["created_at"],
        functions, schedules, row["tag"], row["deployed_by"],
    )  # fmt: skip


def _spec(said: dict[str, object]) -> ScheduleSpec:
    kept = {"missed": Missed(str(said["missed"])), "overlap": Overlap(str(said["overlap"]))}
    return ScheduleSpec(**{**said, **kept})  # type: ignore[arg-type]  # as `asdict` made it


def _run_values(run: ScheduledRun) -> dict[str, object]:
    return {
        "tick": run.tick,
        "at": run.at,
        "state": run.state.value,
        "call_id": run.call_id,
        "reason": run.reason,
    }


def _run(connection: sqlite3.Connection, name: str, /, **parameters: object) -> sqlite3.Cursor:
    return connection.execute(statements("deployments.sql")[name], parameters)
