"""`offload dlq`: the dead letters, which are inputs that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click
from google.protobuf.message import Message

from offload.cli import show
from offload.cli.exits import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.wire.gen import calls_pb2

M = TypeVar("M", bound=Message)

# As many as the server puts into one answer, or replays and drops at once.
_SEARCHED = 5_000

_app_option = click.option(
    "--app", default="", metavar="APP", help="Only inputs of this app (id or name)."
)
_limit_option = click.option(
    "--limit",
    default=100,
    show_default=True,
    type=click.IntRange(1, _SEARCHED),
    help="At most so many, newest first.",
)
_ids_argument = click.argument("input_ids", metavar="[INPUT]...", nargs=-1)
_all_option = click.option(
    "--all", "take_all", is_flag=True, help="Every one, of an app where --app names it."
)


@click.group(invoke_without_command=True)
@_app_option
@_limit_option
@show.json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **given: object) -> None:
    """List, show, replay and drop inputs that were given up: their workers or containers went away too often.

    Without a subcommand: list; the options here are those of the list.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_letters, as_json=as_json, **given)
    show.pass_json_on(ctx, as_json=as_json)


@command.command("ls")
@_app_option
@_limit_option
@show.json_option
def list_letters(*, app: str, limit: int, as_json: bool) -> None:
    """List them, newest first."""
    reply = _list(app, limit)
    if as_json:
        show.print_json(show.as_document(reply))
        return
    if not reply.letters:
        print("No input was given up.")
    now = show.wall_clock()
    show.print_table(
        f"Dead letters (newest {len(reply.letters)} of {reply.total})",
        ("input", "function", "app", "attempts", "given up", "why"),
        (
            (
                letter.input_id,
                letter.function_name,
                letter.app_name,
                str(letter.attempts),
                show.ago(letter.at, now),
                letter.reason,
            )
            for letter in reply.letters
        ),
    )


@command.command("show")
@click.argument("input_id", metavar="INPUT")
@show.json_option
def show_letter(*, input_id: str, as_json: bool) -> None:
    """Show one, and what can be done about it."""
    letters = {letter.input_id: letter for letter in _list("", _SEARCHED).letters}
    letter = letters.get(input_id)
    if letter is None:
        raise _unknown(input_id, list(letters))
    if as_json:
        show.print_json(show.as_document(letter))
        return
    ago = show.ago(letter.at, show.wall_clock())
    print(f"Input {letter.input_id}: {letter.function_name} in {letter.app_name}")
    print(f"number {letter.index} of call {letter.call_id}")
    print(f"given up {ago}, after {show.count_of(letter.attempts, 'attempt')}: {letter.reason}")
    print(f"  what it printed: offload logs {letter.call_id}")
    print(f"  another chance:  offload dlq replay {letter.input_id}")
    print(f"  off the list:    offload dlq drop {letter.input_id}")


@command.command("replay")
@_ids_argument
@_all_option
@_app_option
@show.json_option
def replay(*, input_ids: tuple[str, ...], take_all: bool, app: str, as_json: bool) -> None:
    """Submit inputs again, each as a call of its own. The outcomes of their old calls stay."""
    from offload.wire.gen import calls_pb2

    request = _request(input_ids, app, take_all=take_all)
    replays: list[calls_pb2.Replay] = []

    def portion() -> int:
        reply = _ask("Calls/ReplayDeadLetters", request, calls_pb2.ReplayDeadLettersReply)
        replays.extend(reply.replays)
        return len(reply.replays)

    _in_portions(portion, request)
    if as_json:
        show.print_json([show.as_document(each) for each in replays])
        return
    for each in replays:
        print(f"{each.input_id} goes again as {each.call_id}.")
    if not replays:
        print("No input was given up.")


@command.command("drop")
@_ids_argument
@_all_option
@_app_option
@show.json_option
def drop(*, input_ids: tuple[str, ...], take_all: bool, app: str, as_json: bool) -> None:
    """Take inputs off the list. Their outcomes stay."""
    from offload.wire.gen import calls_pb2

    request = _request(input_ids, app, take_all=take_all)

    def portion() -> int:
        return _ask("Calls/DropDeadLetters", request, calls_pb2.DropDeadLettersReply).dropped

    dropped = _in_portions(portion, request)
    if as_json:
        show.print_json({"dropped": dropped})
    else:
        print(f"Dropped {show.count_of(dropped, 'input')}.")


def _list(app: str, limit: int) -> calls_pb2.ListDeadLettersReply:
    from offload.cli.ask import ask
    from offload.wire.gen import calls_pb2

    request = calls_pb2.ListDeadLettersRequest(app_id=app, limit=limit)
    return ask("Calls/ListDeadLetters", request, calls_pb2.ListDeadLettersReply)


def _request(
    input_ids: tuple[str, ...], app: str, *, take_all: bool
) -> calls_pb2.DeadLettersRequest:
    from offload.wire.gen import calls_pb2

    if bool(input_ids) == take_all:
        raise CliError(
            "Name inputs (`offload dlq` lists them), or write --all for every one; not both."
        )
    if app and not take_all:
        raise CliError("--app goes with --all; inputs that are named need no app.")
    return calls_pb2.DeadLettersRequest(
        input_ids=list(dict.fromkeys(input_ids)), all=take_all, app_id=app
    )


def _in_portions(portion: Callable[[], int], request: calls_pb2.DeadLettersRequest) -> int:
    """Repeat what the server does a portion at a time; return how many it were.

    No more than there are now, because an input that is replayed may be lost again.
    """
    if not request.all:
        return portion()
    total, done = _list(request.app_id, 1).total, 0
    while done < total and (count := portion()):
        done += count
    return done


def _ask(method: str, request: calls_pb2.DeadLettersRequest, reply: type[M]) -> M:
    """Make the request; where an input is not known, say which one was probably meant."""
    from offload.cli.ask import ask

    try:
        return ask(method, request, reply)
    except CliError as error:
        if error.code != Exit.NOT_FOUND or not request.input_ids:
            raise
        known = [letter.input_id for letter in _list("", _SEARCHED).letters]
        for input_id in request.input_ids:
            if input_id not in known:
                raise _unknown(input_id, known) from None
        raise


def _unknown(input_id: str, known: list[str]) -> CliError:
    from offload.cli.names import unknown

    return CliError(
        unknown("dead letter", input_id, known, "`offload dlq` lists them."), Exit.NOT_FOUND
    )
