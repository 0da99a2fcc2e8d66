"""`offload secret`: secrets on the server. No command shows a value."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

import click

from offload.cli import objects, show
from offload.cli.exits import CliError, Exit
from offload.errors import InvalidError

if TYPE_CHECKING:
    from offload.sdk.secret import Secret


def _secrets() -> type[Secret]:
    from offload.sdk.secret import Secret

    return Secret


command = objects.group(
    "secret",
    _secrets,
    "List, make and remove secrets, and change the key that they are sealed with. Values are never shown.",
)


# In place of those that other kinds have: a secret is made with what is in it, and listed with the names of that.
@command.command("create")
@click.argument("name")
@click.argument("variables", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--from-dotenv", type=click.File(), metavar="FILE", help="A .env file; - is stdin.")
@click.option(
    "--from-json", type=click.File(), metavar="FILE", help="An object of texts; - is stdin."
)
@click.option("--force", is_flag=True, help="Replace all that is in a secret of that name.")
@objects.env_option
@show.json_option
def create(
    *, name: str, force: bool, environment: str | None, as_json: bool, **given: object
) -> None:
    """Make a secret of variables.

    What stands on a command line others of this machine see while it runs: keep values in a file, or pipe them in.
    """
    values = _read(given)
    made = objects.ask(
        lambda: _secrets().create(name, values, environment_name=environment, overwrite=force)
    )
    sentence = f"Secret {name!r} has {', '.join(made.keys)}."
    objects.done(as_json, sentence, name=name, object_id=made.object_id, keys=made.keys)


@command.command("ls")
@objects.env_option
@show.json_option
def ls(*, environment: str | None, as_json: bool) -> None:
    """List the secrets of an environment by their names, with the names of their variables."""
    found = objects.ask(lambda: _secrets().list(environment_name=environment))
    if as_json:
        show.print_json({"secrets": [each._asdict() for each in found]})
        return
    now = show.wall_clock()
    rows = [
        (
            each.name,
            ", ".join(each.keys),
            show.ago(each.created_at, now),
            show.ago(each.updated_at, now),
        )
        for each in found
    ]
    objects.print_list("secret", environment, ("name", "keys", "created", "changed"), rows)


@command.command("rotate-key")
@show.json_option
def rotate_key(*, as_json: bool) -> None:
    """Make a new key on the server, seal every secret with it, and forget the old one."""
    count = objects.ask(_secrets().rotate_key)
    objects.done(as_json, f"A new key seals the server's secrets: {count}.", secrets=count)


def _read(given: dict[str, object]) -> dict[str, str]:
    """Return the variables, wherever they come from; of one name the command line's."""
    from offload.sdk import dotenv

    values: dict[str, str] = {}
    as_json, as_dotenv = given["from_json"], given["from_dotenv"]
    try:
        if as_json is not None:
            values |= _from_json(as_json)  # type: ignore[arg-type]  # click opened it
        if as_dotenv is not None:
            file: IO[str] = as_dotenv  # type: ignore[assignment]  # as above
            values |= dotenv.parse(file.read(), getattr(file, "name", "it"))
    except InvalidError as error:
        raise CliError(str(error), Exit.USAGE) from None
    for each in given["variables"]:  # type: ignore[attr-defined]  # as above
        key, equals, value = each.partition("=")
        if not equals:
            # It may be a value: it is not shown.
            raise CliError("A variable is written KEY=VALUE.", Exit.USAGE)
        values[key] = value
    if not values:
        raise CliError(
            "A secret has one variable at least: KEY=VALUE, --from-dotenv FILE or --from-json FILE.",
            Exit.USAGE,
        )
    return values


def _from_json(file: IO[str]) -> dict[str, str]:
    try:
        values: object = json.load(file)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(each, str) for each in values.values()):
        raise InvalidError(
            f'{getattr(file, "name", "it")} is not a JSON object of texts: {{"KEY": "VALUE"}}'
        )
    return values
