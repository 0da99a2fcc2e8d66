"""`offload dict`: dicts on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from offload.cli import objects, show
from offload.cli.exits import CliError, Exit

if TYPE_CHECKING:
    from offload.sdk.dict import Dict

# Between the lines of what is shown of a value that has no other form.
_WIDTH = 200


def _dicts() -> type[Dict]:
    from offload.sdk.dict import Dict

    return Dict


def _named(name: str, environment: str | None) -> Dict:
    return _dicts().from_name(name, environment_name=environment)


command = objects.group(
    "dict",
    _dicts,
    "List, make and change dicts. KEY and VALUE are JSON where they can be read as such, else texts.",
)


@command.command("get")
@click.argument("name")
@click.argument("key", required=False)
@objects.env_option
@show.json_option
def get(*, name: str, key: str | None, environment: str | None, as_json: bool) -> None:
    """Show the value of KEY, or without one all entries."""
    found = _named(name, environment)
    if key is None:
        entries = objects.ask(lambda: list(found.items()))
        if as_json:
            pairs = [[objects.as_json_value(k), objects.as_json_value(v)] for k, v in entries]
            show.print_json({"entries": pairs})
        else:
            for each, value in entries:
                print(f"{each!r}: {value!r:.{_WIDTH}}")
        return
    wanted = objects.read_value(key)
    missing = object()
    value = objects.ask(lambda: found.get(wanted, missing))
    if value is missing:
        raise CliError(f"Dict {name!r} has no key {wanted!r}.", Exit.NOT_FOUND)
    if as_json:
        show.print_json({"value": objects.as_json_value(value)})
    else:
        print(value)


@command.command("put")
@click.argument("name")
@click.argument("key")
@click.argument("value")
@click.option("--skip-if-exists", is_flag=True, help="Leave a value that is there as it is.")
@objects.env_option
@show.json_option
def put(*, name: str, key: str, value: str, as_json: bool, **options: object) -> None:
    """Set the value of KEY."""
    environment = options["environment"]
    found = _named(name, str(environment) if environment else None)
    pair = objects.read_value(key), objects.read_value(value)
    skip = bool(options["skip_if_exists"])
    was_set = objects.ask(lambda: found.put(*pair, skip_if_exists=skip))
    sentence = "It is set." if was_set else f"Key {pair[0]!r} has a value, which stays."
    objects.done(as_json, sentence, was_set=was_set)


@command.command("clear")
@click.argument("name")
@objects.env_option
@show.json_option
def clear(*, name: str, environment: str | None, as_json: bool) -> None:
    """Remove all entries."""
    found = _named(name, environment)
    objects.ask(found.clear)
    objects.done(as_json, f"Dict {name!r} is empty.", name=name)
