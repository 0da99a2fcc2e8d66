"""`offload queue`: queues on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from offload.cli import objects, show
from offload.cli.exits import CliError, Exit

if TYPE_CHECKING:
    from offload.sdk.queue import Queue

_partition_option = click.option("--partition", metavar="NAME", help="A queue within the queue.")


def _queues() -> type[Queue]:
    from offload.sdk.queue import Queue

    return Queue


def _named(name: str, environment: str | None) -> Queue:
    return _queues().from_name(name, environment_name=environment)


command = objects.group(
    "queue",
    _queues,
    "List, make and use queues. VALUE is JSON where it can be read as such, else a text.",
)


@command.command("get")
@click.argument("name")
@click.option("-n", "count", default=1, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--timeout", type=float, default=0.0, help="Seconds to wait for the first; 0.")
@_partition_option
@objects.env_option
@show.json_option
def get(*, name: str, count: int, timeout: float, as_json: bool, **where: str | None) -> None:
    """Take the first items away."""
    import queue

    found = _named(name, where["environment"])
    try:
        items = objects.ask(
            lambda: found.get_many(count, timeout=timeout, partition=where["partition"])
        )
    except queue.Empty:
        raise CliError(f"Queue {name!r} has no items there.", Exit.NOT_FOUND) from None
    if as_json:
        show.print_json({"items": [objects.as_json_value(item) for item in items]})
    else:
        for item in items:
            print(item)


@command.command("put")
@click.argument("name")
@click.argument("values", metavar="VALUE...", nargs=-1, required=True)
@click.option("--ttl", type=float, help="Seconds after which they go; a day.")
@_partition_option
@objects.env_option
@show.json_option
def put(
    *, name: str, values: tuple[str, ...], ttl: float | None, as_json: bool, **where: str | None
) -> None:
    """Append items."""
    import queue

    found = _named(name, where["environment"])
    items = [objects.read_value(value) for value in values]
    try:
        objects.ask(
            lambda: found.put_many(items, block=False, partition=where["partition"], ttl=ttl)
        )
    except queue.Full:
        raise CliError(f"Queue {name!r} has no room there: take items first.") from None
    objects.done(as_json, f"{show.count_of(len(items), 'item')} put.", put=len(items))


@command.command("len")
@click.argument("name")
@_partition_option
@click.option("--total", is_flag=True, help="Of all partitions.")
@objects.env_option
@show.json_option
def length(*, name: str, total: bool, as_json: bool, **where: str | None) -> None:
    """Say how many items there are."""
    found = _named(name, where["environment"])
    count = objects.ask(lambda: found.len(partition=where["partition"], total=total))
    objects.done(as_json, f"{count}", length=count)


@command.command("clear")
@click.argument("name")
@_partition_option
@click.option("--all", "take_all", is_flag=True, help="Of all partitions.")
@objects.env_option
@show.json_option
def clear(*, name: str, take_all: bool, as_json: bool, **where: str | None) -> None:
    """Remove the items."""
    found = _named(name, where["environment"])
    objects.ask(lambda: found.clear(partition=where["partition"], all=take_all))
    objects.done(as_json, f"Queue {name!r} is empty there.", name=name)
