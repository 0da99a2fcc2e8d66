"""`offload app`: deployed apps and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit
from offload.cli.scope import scope_of, scoped

if TYPE_CHECKING:
    from offload.wire.gen import deployments_pb2
    from offload.wire.link import Link

VERSION = click.IntRange(1, 2**32 - 1)


@click.group()
def command() -> None:
    """Deployed apps: list, show, roll back, stop and tag them."""


@command.command("ls")
@scoped
@click.option("--all", "with_runs", is_flag=True, help="Also apps that a program runs now.")
@show.json_option
def list_apps(
    *, workspace: str | None, environment: str | None, with_runs: bool, as_json: bool
) -> None:
    """List deployed apps, of all environments unless one is named."""
    from offload.cli.ask import ask
    from offload.wire.gen import apps_pb2, deployments_pb2

    scope = scope_of(workspace, environment)
    request = deployments_pb2.ListDeploymentsRequest(
        workspace=scope["workspace"], environment=environment or ""
    )
    reply = ask("Deployments/ListDeployments", request, deployments_pb2.ListDeploymentsReply)
    runs = []
    if with_runs:
        listed = ask("Apps/ListApps", apps_pb2.ListAppsRequest(limit=1000), apps_pb2.ListAppsReply)
        runs = [app for app in listed.apps if app.state == "running"]
    if as_json:
        found = show.as_document(reply)["deployments"]
        show.print_json(
            {"deployments": found, "runs": [show.as_document(app) for app in runs]}
            if with_runs
            else found
        )
        return
    now = show.wall_clock()
    if not reply.deployments:
        where = f" in environment {environment!r}" if environment else ""
        print(f"No deployed apps{where}: `offload deploy FILE` adds one.")
    show.print_table(
        "Deployed apps",
        (
            "app",
            "environment",
            "state",
            "version",
            "tag",
            "since",
            "functions",
            "open calls",
            "tags",
        ),
        (_row(each, now) for each in reply.deployments),
    )
    show.print_table(
        "Running programs",
        ("app", "name", "environment", "since", "open calls"),
        (
            (
                app.app_id,
                app.name,
                app.environment or "main",
                show.ago(app.created_at, now),
                str(app.open_calls),
            )
            for app in runs
        ),
    )


@command.command("show")
@click.argument("name", metavar="APP")
@scoped
@show.json_option
def show_app(*, name: str, workspace: str | None, environment: str | None, as_json: bool) -> None:
    """Show a deployed app: what serves, and its functions."""
    found = _describe(name, workspace, environment)
    if as_json:
        show.print_json(show.as_document(found))
        return
    now = show.wall_clock()
    serving = _serving(found)
    print(f"App {found.app.name} in environment {found.app.environment}: {_state(found, now)}")
    if found.tags:
        print("tags: " + _tags(found))
    if serving is not None:
        by = f" by {serving.deployed_by}" if serving.deployed_by else ""
        tag = f", tag {serving.tag}" if serving.tag else ""
        print(
            f"version {serving.version} ({serving.app_id}) of {show.ago(serving.created_at, now)}{by}{tag}"
        )
        show.print_table("Functions", ("function",), ((each,) for each in serving.functions))


@command.command("history")
@click.argument("name", metavar="APP")
@scoped
@show.json_option
def history(*, name: str, workspace: str | None, environment: str | None, as_json: bool) -> None:
    """List the versions of a deployed app that are kept, newest first."""
    found = _describe(name, workspace, environment)
    if as_json:
        show.print_json(show.as_document(found)["versions"])
        return
    now = show.wall_clock()
    show.print_table(
        f"Versions of {found.app.name}",
        ("version", "serves", "tag", "deployed", "by", "open calls", "app"),
        (
            (
                str(each.version),
                "yes" if each.is_serving else "-",
                each.tag or "-",
                show.ago(each.created_at, now),
                each.deployed_by or "-",
                str(each.open_calls),
                each.app_id,
            )
            for each in found.versions
        ),
    )


@command.command("rollback")
@click.argument("name", metavar="APP")
@click.option(
    "--version",
    type=VERSION,
    metavar="N",
    help="Which one; default: the one before that which serves, or, of a stopped app, the one that served.",
)
@scoped
@show.json_option
def rollback(
    *, name: str, version: int | None, workspace: str | None, environment: str | None, as_json: bool
) -> None:
    """Have an earlier version of a deployed app serve again, once its functions have loaded."""
    from offload.cli.ask import talk
    from offload.wire.gen import deployments_pb2

    request = deployments_pb2.RollbackRequest(
        app=_name(name, workspace, environment), version=version or 0
    )

    async def roll_back(link: Link) -> deployments_pb2.DeployResult:
        stream = link.stream("offload.v1.Deployments/Rollback", deployments_pb2.DeployEvent)
        await stream.send(request)
        await stream.end()
        async for event in stream:
            if event.HasField("result"):
                return event.result
        raise CliError("The server did not say what came of it.", Exit.SERVER)

    result = talk(roll_back)
    if as_json:
        show.print_json(show.as_document(result))
    elif result.is_unchanged:
        print(f"Nothing changed: version {result.version} of {name} serves already.")
    else:
        instead = (
            f" in place of version {result.replaced_version}" if result.replaced_version else ""
        )
        print(f"Version {result.version} of {name} serves{instead}.")


@command.command("stop")
@click.argument("name", metavar="APP")
@click.option("--cancel", is_flag=True, help="Also cancel what runs and waits.")
@scoped
@show.json_option
def stop(
    *, name: str, cancel: bool, workspace: str | None, environment: str | None, as_json: bool
) -> None:
    """Take no more calls of a deployed app; what runs goes on unless --cancel. Its versions are kept."""
    from offload.cli.ask import ask
    from offload.sdk.identity import whoever_runs_this
    from offload.wire.gen import deployments_pb2

    served = _describe(name, workspace, environment).version
    request = deployments_pb2.StopDeploymentRequest(
        app=_name(name, workspace, environment),
        cancel=cancel,
        reason=f"its app was stopped by {whoever_runs_this()}, with `offload app stop`",
    )
    ask("Deployments/StopDeployment", request, deployments_pb2.StopDeploymentReply)
    if as_json:
        show.print_json({"app": name, "state": "stopped"})
    else:
        again = f"{name} --version {served}" if served else name
        what = f"version {served}" if served else "a version of it"
        print(f"App {name} is stopped; `offload app rollback {again}` has {what} serve again.")


@command.command("logs")
@click.argument("name", metavar="APP")
@click.option(
    "--version", type=VERSION, metavar="N", help="Of which version; default: what serves."
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the version serves no more.")
@scoped
@show.json_option
def logs(
    *,
    name: str,
    version: int | None,
    follow: bool,
    workspace: str | None,
    environment: str | None,
    as_json: bool,
) -> None:
    """Show what the functions of a deployed app printed."""
    from offload.cli.logs import show_lines
    from offload.wire.gen import calls_pb2

    found = _describe(name, workspace, environment)
    wanted = version or found.version or (found.versions[0].version if found.versions else 0)
    app_ids = [each.app_id for each in found.versions if each.version == wanted]
    if not app_ids:
        kept = ", ".join(str(each.version) for each in reversed(found.versions))
        raise CliError(
            f"App {name!r} has no version {wanted}: those kept are {kept}.", Exit.NOT_FOUND
        )
    request = calls_pb2.LogsRequest(app_id=app_ids[0], follow=follow)
    show_lines("Calls/Logs", request, as_json=as_json)


@command.command("tag")
@click.argument("name", metavar="APP")
@click.argument("tags", metavar="KEY=VALUE|KEY=...", nargs=-1)
@click.option("--version-tag", metavar="TEXT", help="Call a version so, instead.")
@click.option("--version", type=VERSION, metavar="N", help="Which one; default: what serves.")
@scoped
@show.json_option
def tag(
    *,
    name: str,
    tags: tuple[str, ...],
    version_tag: str | None,
    version: int | None,
    as_json: bool,
    **scope: str | None,
) -> None:
    """Set tags of a deployed app (KEY=VALUE; KEY= removes one), or the tag of one of its versions."""
    from offload.cli.ask import ask
    from offload.wire.gen import deployments_pb2

    if version is not None and version_tag is None:
        raise CliError("--version says whose tag --version-tag is: write --version-tag TEXT, too.")
    pairs = [each.partition("=") for each in tags]
    wrong = [key + equals for key, equals, _ in pairs if not (key and equals)]
    if wrong:
        raise CliError(f"{wrong[0]!r} is no tag: write KEY=VALUE, or KEY= to remove one.")
    request = deployments_pb2.SetTagsRequest(
        app=_name(name, scope["workspace"], scope["environment"]),
        set={key: value for key, _, value in pairs if value},
        remove=[key for key, _, value in pairs if not value],
        version=version or 0,
    )
    if version_tag is not None:
        request.version_tag = version_tag
    found = ask("Deployments/SetTags", request, deployments_pb2.Deployment)
    if as_json:
        show.print_json(show.as_document(found))
    else:
        print(f"App {found.app.name}: {_tags(found) or 'no tags'}")


def _name(
    name: str, workspace: str | None, environment: str | None
) -> deployments_pb2.DeploymentName:
    from offload.wire.gen import deployments_pb2

    return deployments_pb2.DeploymentName(name=name, **scope_of(workspace, environment))


def _describe(
    name: str, workspace: str | None, environment: str | None
) -> deployments_pb2.Deployment:
    from offload.cli.ask import ask
    from offload.wire.gen import deployments_pb2

    request = deployments_pb2.DescribeDeploymentRequest(app=_name(name, workspace, environment))
    return ask("Deployments/DescribeDeployment", request, deployments_pb2.Deployment)


def _serving(found: deployments_pb2.Deployment) -> deployments_pb2.DeployedVersion | None:
    return next((each for each in found.versions if each.is_serving), None)


def _row(found: deployments_pb2.Deployment, now: float) -> tuple[str, ...]:
    serving = _serving(found)
    return (
        found.app.name,
        found.app.environment,
        found.state,
        str(found.version or "-"),
        (serving.tag if serving is not None else "") or "-",
        show.ago(found.activated_at, now),
        ", ".join(serving.functions) if serving is not None else "-",
        str(sum(each.open_calls for each in found.versions)),
        _tags(found) or "-",
    )


def _state(found: deployments_pb2.Deployment, now: float) -> str:
    since = show.ago(found.activated_at, now)
    if not found.version:
        return f"stopped {since}"
    return f"version {found.version} serves, since {since.removesuffix(' ago')}"


def _tags(found: deployments_pb2.Deployment) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(found.tags.items()))
