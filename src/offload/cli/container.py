"""`offload container`: containers that run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.scope import scope_of, scoped

if TYPE_CHECKING:
    from offload.wire.gen import containers_pb2
    from offload.wire.link import Link


@click.group()
def command() -> None:
    """Containers that run: list and stop them, read what they print, run programs in them."""


@command.command("ls")
@click.option("--app", default="", metavar="NAME", help="Only those of this app, by name or id.")
@click.option("--all", "everywhere", is_flag=True, help="Of all environments of the workspace.")
@scoped
@show.json_option
def list_containers(
    *,
    app: str,
    everywhere: bool,
    workspace: str | None,
    environment: str | None,
    as_json: bool,
) -> None:
    """List the containers of the environment."""
    from offload.cli.ask import ask
    from offload.wire.gen import containers_pb2

    scope = _scope(workspace, environment)
    if everywhere:
        scope.environment = ""
    reply = ask(
        "Containers/ListContainers",
        containers_pb2.ListContainersRequest(scope=scope, app=app),
        containers_pb2.ListContainersReply,
    )
    if as_json:
        show.print_json(show.as_document(reply)["containers"])
        return
    now = show.wall_clock()
    if not reply.containers:
        print("No containers run here: calling a function starts one.")
    show.print_table(
        "Containers",
        ("container", "function", "app", "environment", "worker", "state", "started", "inputs"),
        (
            (
                each.container_id,
                each.function_name,
                each.app_name,
                each.environment,
                each.worker_name,
                each.state,
                show.ago(each.started_at, now),
                str(each.inputs_in_hand),
            )
            for each in reply.containers
        ),
    )


@command.command("stop")
@click.argument("container_id", metavar="CONTAINER")
@click.option(
    "--now", is_flag=True, help="Give back what it runs, to be run again in another container."
)
@scoped
@show.json_option
def stop(
    *,
    container_id: str,
    now: bool,
    workspace: str | None,
    environment: str | None,
    as_json: bool,
) -> None:
    """End a container: it takes nothing more, and what it runs goes on for as long as its function may run."""
    from offload.cli.ask import ask
    from offload.wire.gen import containers_pb2

    request = containers_pb2.StopContainerRequest(
        scope=_scope(workspace, environment), container_id=container_id, now=now
    )
    reply = ask("Containers/StopContainer", request, containers_pb2.StopContainerReply)
    if as_json:
        show.print_json({"container": container_id, "state": reply.state})
    else:
        print(f"Container {container_id} is {reply.state}.")


@command.command("logs")
@click.argument("container_id", metavar="CONTAINER")
@click.option("-f", "--follow", is_flag=True, help="Go on until it has ended.")
@click.option("--app", default="", metavar="NAME", help="Its app, where it has ended already.")
@scoped
@show.json_option
def logs(
    *,
    container_id: str,
    follow: bool,
    app: str,
    workspace: str | None,
    environment: str | None,
    as_json: bool,
) -> None:
    """Show what a container printed. What went to stderr goes to stderr."""
    from offload.cli.ask import talk
    from offload.cli.logs import print_line
    from offload.wire.gen import calls_pb2, containers_pb2

    request = containers_pb2.ContainerLogsRequest(
        scope=_scope(workspace, environment), container_id=container_id, follow=follow, app=app
    )

    async def read(link: Link) -> None:
        stream = link.stream("offload.v1.Containers/ContainerLogs", calls_pb2.LogBatch)
        await stream.send(request)
        await stream.end()
        async for batch in stream:
            for line in batch.lines:
                print_line(line, as_json=as_json)
            sys.stdout.flush()

    talk(read)


@command.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("container_id", metavar="CONTAINER")
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[--] [PROGRAM [ARGUMENT]...]")
@scoped
@click.option("--json", "as_json", is_flag=True, help="Print an error as one JSON document.")
def exec_program(
    *,
    container_id: str,
    program: tuple[str, ...],
    workspace: str | None,
    environment: str | None,
    as_json: bool,  # noqa: ARG001  # what the program prints is its own; see `main` for errors
) -> int:
    """Run a program inside a container that runs, by default a shell. Its exit code is this command's.

    On a terminal the program has one too; otherwise its standard input and output are this command's. It ends when this
    command does.
    """
    from offload.cli.console import run_in_container

    scope = scope_of(workspace, environment)
    if program[:1] == ("--",):
        program = program[1:]
    return run_in_container(container_id, program, scope)


def _scope(workspace: str | None, environment: str | None) -> containers_pb2.ContainerScope:
    from offload.wire.gen import containers_pb2

    return containers_pb2.ContainerScope(**scope_of(workspace, environment))
