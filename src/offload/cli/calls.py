"""`offload calls`: list, show and cancel calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from offload.cli import show

if TYPE_CHECKING:
    from offload.wire.gen import calls_pb2


_app_option = click.option(
    "--app", default="", metavar="APP", help="Only calls of this app (id or name)."
)
_open_option = click.option(
    "--open", "open_only", is_flag=True, help="Only calls that have not ended."
)
_limit_option = click.option(
    "--limit", default=100, show_default=True, help="At most so many, newest first."
)


@click.group(invoke_without_command=True)
@_app_option
@_open_option
@_limit_option
@show.json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **given: object) -> None:
    """List, show and cancel calls. Without a subcommand: list; the options here are those of the list."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_calls, as_json=as_json, **given)
    elif as_json:
        # Where an error is printed sees --json anywhere on the line; the subcommand must, too.
        ctx.default_map = {ctx.invoked_subcommand: {"as_json": True}}


@command.command("ls")
@_app_option
@_open_option
@_limit_option
@show.json_option
def list_calls(*, app: str, open_only: bool, limit: int, as_json: bool) -> None:
    """List calls, newest first."""
    from offload.cli.ask import ask
    from offload.wire.gen import calls_pb2

    request = calls_pb2.ListCallsRequest(app_id=app, open_only=open_only, limit=limit)
    reply = ask("Calls/ListCalls", request, calls_pb2.ListCallsReply)
    if as_json:
        show.print_json(show.as_document(reply)["calls"])
        return
    now = show.wall_clock()
    if not reply.calls:
        print("No calls.")
    show.print_table(
        "Calls",
        ("call", "function", "app", "kind", "state", "inputs", "created"),
        (
            (
                call.call_id,
                call.function_name,
                call.app_name,
                _kind(call),
                call.state,
                _counts(call),
                show.ago(call.created_at, now),
            )
            for call in reply.calls
        ),
    )


@command.command("get")
@click.argument("call_id", metavar="CALL")
@click.option("--inputs", default=20, show_default=True, help="Inputs to list, unfinished first.")
@show.json_option
def get(*, call_id: str, inputs: int, as_json: bool) -> None:
    """Show a call and its inputs."""
    from offload.cli.ask import ask
    from offload.wire.gen import calls_pb2

    request = calls_pb2.DescribeRequest(call_id=call_id, input_limit=inputs)
    call = ask("Calls/Describe", request, calls_pb2.CallDescription)
    if as_json:
        show.print_json(show.as_document(call))
        return
    now = show.wall_clock()
    print(f"Call {call.call_id}: {_kind(call)} of {call.function_name} in {call.app_name}")
    ended = f", ended {show.ago(call.finished_at, now)}" if call.finished_at else ""
    print(f"{call.state}, created {show.ago(call.created_at, now)}{ended}; {_counts(call)}")
    show.print_table(
        "Inputs",
        ("index", "input", "state", "attempts", "container", "why"),
        (
            (
                str(i.index),
                i.input_id,
                _input_state(i),
                str(i.attempts),
                i.container_id or "-",
                i.reason or "-",
            )
            for i in call.inputs
        ),
    )


@command.command("cancel")
@click.argument("call_id", metavar="CALL")
@show.json_option
def cancel(*, call_id: str, as_json: bool) -> None:
    """Cancel what is left of a call."""
    from offload.cli.ask import ask
    from offload.wire.gen import calls_pb2

    request = calls_pb2.CancelRequest(
        call_id=call_id, reason="cancelled with `offload calls cancel`"
    )
    reply = ask("Calls/Cancel", request, calls_pb2.CancelReply)
    if as_json:
        show.print_json({"call_id": call_id, "cancelled_inputs": reply.cancelled_inputs})
    else:
        count = reply.cancelled_inputs
        print(f"Cancelled {count} input{'' if count == 1 else 's'} of {call_id}.")


def _kind(call: calls_pb2.CallDescription) -> str:
    from offload.wire.gen import calls_pb2

    return calls_pb2.CallKind.Name(call.kind).removeprefix("CALL_KIND_").lower()


def _input_state(description: calls_pb2.InputDescription) -> str:
    from offload.wire.gen import common_pb2

    return common_pb2.InputState.Name(description.state).removeprefix("INPUT_STATE_").lower()


def _counts(call: calls_pb2.CallDescription) -> str:
    counts = [f"{count} {state}" for state, count in sorted(call.counts.items()) if count]
    return ", ".join(counts) or "no inputs"
