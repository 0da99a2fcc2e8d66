"""`offload calls`: list, show and cancel calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    show.pass_json_on(ctx, as_json=as_json)


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
        (
            "call",
            "function",
            "app",
            "kind",
            "state",
            "priority",
            "inputs",
            "created",
            "waits because",
        ),
        (
            (
                call.call_id,
                call.function_name,
                call.app_name,
                _kind(call),
                call.state,
                str(call.options.priority or "-"),
                _counts(call),
                show.ago(call.created_at, now),
                call.waiting_reason or "-",
            )
            for call in reply.calls
        ),
    )


@command.command("get")
@click.argument("call_id", metavar="CALL")
@click.option(
    "--inputs",
    default=20,
    show_default=True,
    help="Inputs to list: unfinished ones first, successes last.",
)
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
    for line in _treatment(call):
        print(line)
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
@click.argument("call_ids", metavar="CALL...", nargs=-1, required=True)
@click.option("--reason", default="", help="Shown to whoever waits, beside who you are.")
@show.json_option
def cancel(*, call_ids: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Cancel what is left of calls. An unknown one does not keep the others from it."""
    from offload.cli.ask import ask
    from offload.sdk.identity import whoever_runs_this
    from offload.wire.gen import calls_pb2

    by = f"cancelled by {whoever_runs_this()}, with `offload calls cancel`"
    counts: dict[str, int] = {}
    refused: list[CliError] = []
    for call_id in dict.fromkeys(call_ids):
        request = calls_pb2.CancelRequest(
            call_id=call_id, reason=f"{by}: {reason}" if reason else by
        )
        try:
            reply = ask("Calls/Cancel", request, calls_pb2.CancelReply)
        except CliError as error:
            if error.code != Exit.NOT_FOUND:
                raise
            refused.append(error)
        else:
            counts[call_id] = reply.cancelled_inputs
    if not refused and as_json:
        show.print_json([{"call_id": c, "cancelled_inputs": n} for c, n in counts.items()])
    elif not as_json:
        for call_id, count in counts.items():
            print(f"Cancelled {show.count_of(count, 'input')} of {call_id}.")
    if refused:
        others = f" Cancelled: {', '.join(counts)}." if counts and as_json else ""
        raise CliError(" ".join(error.message for error in refused) + others, Exit.NOT_FOUND)


def _treatment(call: calls_pb2.CallDescription) -> Iterator[str]:
    options = call.options
    said = [f"priority {options.priority}"] if options.priority else []
    if options.timeout_seconds:
        said.append(f"to be over within {options.timeout_seconds:g} s of its submission")
    if options.after:
        anyway = " (although one may not succeed)" if options.run_anyway else ""
        said.append(f"after {', '.join(options.after)}{anyway}")
    if options.idempotency_key:
        said.append(f"idempotency key {options.idempotency_key!r}")
    if said:
        yield "; ".join(said)
    if call.waiting_reason:
        yield f"waits because: {call.waiting_reason}"


def _kind(call: calls_pb2.CallDescription) -> str:
    from offload.wire.gen import calls_pb2

    return calls_pb2.CallKind.Name(call.kind).removeprefix("CALL_KIND_").lower()


def _input_state(description: calls_pb2.InputDescription) -> str:
    from offload.wire.gen import common_pb2

    return common_pb2.InputState.Name(description.state).removeprefix("INPUT_STATE_").lower()


def _counts(call: calls_pb2.CallDescription) -> str:
    counts = [f"{count} {state}" for state, count in sorted(call.counts.items()) if count]
    return ", ".join(counts) or "no inputs"
