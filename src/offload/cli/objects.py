"""What the commands of all objects with a name have in common: list, create, rename, delete."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit
from offload.errors import InvalidError, LimitError, NotFoundError, OffloadError
from offload.sdk.blocking import run
from offload.sdk.client import Client
from offload.sdk.config import read_config
from offload.sdk.session import use_client
from offload.sdk.stack import find_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from offload.sdk.objects import NamedObject
    from offload.sdk.values import ObjectInfo

T = TypeVar("T")

env_option = click.option(
    "--env", "environment", metavar="NAME", help="The environment; default: the settings'."
)


def group(kind: str, load: Callable[[], type[NamedObject]], what: str) -> click.Group:
    """Return the group `offload KIND` with the commands that every kind has."""

    @click.group(kind, help=what)
    @show.json_option
    @click.pass_context
    def command(ctx: click.Context, /, *, as_json: bool) -> None:
        show.pass_json_on(ctx, as_json=as_json)

    @command.command("ls", help=f"List the {kind}s of an environment by their names.")
    @env_option
    @show.json_option
    def ls(*, environment: str | None, as_json: bool) -> None:
        found = ask(lambda: load().list(environment_name=environment))
        if as_json:
            show.print_json({f"{kind}s": [each._asdict() for each in found]})
            return
        print_list(kind, environment, ("name", "id", "created", "used"), _rows(found))

    @command.command("create", help=f"Make a {kind}, unless there is one of that name.")
    @click.argument("name")
    @env_option
    @show.json_option
    def create(*, name: str, environment: str | None, as_json: bool) -> None:
        made = load().from_name(name, environment_name=environment, create_if_missing=True)
        ask(made.hydrate)
        sentence = f"{kind.capitalize()} {name!r} is there."
        done(as_json, sentence, name=name, object_id=made.object_id)

    @command.command("rename", help=f"Give a {kind} another name.")
    @click.argument("old_name")
    @click.argument("new_name")
    @env_option
    @show.json_option
    def rename(*, old_name: str, new_name: str, environment: str | None, as_json: bool) -> None:
        ask(lambda: load().rename(old_name, new_name, environment_name=environment))
        done(as_json, f"{kind.capitalize()} {old_name!r} is {new_name!r} now.", name=new_name)

    @command.command("delete", help=f"Remove a {kind} with all that is in it.")
    @click.argument("name")
    @env_option
    @click.option("--yes", "-y", is_flag=True, help="Without asking.")
    @click.option("--allow-missing", is_flag=True, help="It is no failure where there is none.")
    @show.json_option
    def delete(
        *, name: str, environment: str | None, yes: bool, allow_missing: bool, as_json: bool
    ) -> None:
        if not yes:
            _confirm(f"Delete {kind} {name!r} with all that is in it?", can_ask=not as_json)
        ask(lambda: load().delete(name, environment_name=environment, allow_missing=allow_missing))
        done(as_json, f"{kind.capitalize()} {name!r} is gone.", name=name)

    return command


def ask(request: Callable[[], T]) -> T:
    """Do what asks the server, and turn its refusals into errors of the command.

    Objects outlive the local stack: it is started where it does not run.
    """
    client = Client(find_server, 0.0)
    before = use_client(client)
    try:
        with explained():
            return request()
    finally:
        run(client.close())
        use_client(before)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the SDK raises into what the command ends with."""
    try:
        yield
    except NotFoundError as error:
        raise CliError(str(error), Exit.NOT_FOUND) from None
    except (InvalidError, LimitError) as error:
        raise CliError(str(error), Exit.USAGE) from None
    except OffloadError as error:
        raise CliError(str(error), Exit.SERVER) from None


def print_list(
    kind: str, environment: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Show the objects of a kind as a table."""
    place = environment_of(environment)
    if not rows:
        print(f"There is no {kind} in environment {place!r}.")
    show.print_table(f"{kind.capitalize()}s in {place}", columns, rows)


def done(as_json: bool, sentence: str, **document: object) -> None:  # as every command has it
    """Say what was done, in words or as JSON."""
    if as_json:
        show.print_json(document)
    else:
        print(sentence)


def _rows(found: Sequence[ObjectInfo]) -> list[tuple[str, ...]]:
    now = show.wall_clock()
    return [
        (o.name, o.object_id, show.ago(o.created_at, now), show.ago(o.last_used_at, now))
        for o in found
    ]


def _confirm(question: str, *, can_ask: bool) -> None:
    """Return once a person has said yes; raise `CliError` for any other answer, or none."""
    try:
        if can_ask and click.confirm(question, err=True):
            return
    except click.Abort:
        if sys.stdin.isatty():
            raise
        print(file=sys.stderr)  # behind the question
        can_ask = False
    raise CliError("Nothing is deleted." if can_ask else "Nobody is here to be asked: add --yes.")


def environment_of(given: str | None) -> str:
    """Return the environment that a command is about."""
    return given or read_config().environment or "main"


def read_value(text: str) -> object:
    """Return the value that a word on the command line means: JSON where it is that, else the text itself."""
    import json

    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def as_json_value(value: object) -> object:
    """Return a value as JSON has it; what it has no form for as text."""
    import json

    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)
    return value
