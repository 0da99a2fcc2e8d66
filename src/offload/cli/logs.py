"""`offload logs`: what functions printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from offload.cli import show

if TYPE_CHECKING:
    from offload.wire.gen import calls_pb2, common_pb2
    from offload.wire.link import Link


@click.command()
@click.argument("target", metavar="CALL|APP")
@click.option("-f", "--follow", is_flag=True, help="Go on until the call or app has ended.")
@show.json_option
def command(*, target: str, follow: bool, as_json: bool) -> None:
    """Show what the functions of a call (fc-…) or an app (its id or name) printed.

    What they wrote to stderr goes to stderr. With --json, each line is one JSON document.
    """
    from offload.wire.gen import calls_pb2

    request = calls_pb2.LogsRequest(follow=follow)
    if target.startswith("fc-"):
        request.call_id = target
    else:
        request.app_id = target

    show_lines(request, as_json=as_json)


def show_lines(request: calls_pb2.LogsRequest, *, as_json: bool) -> None:
    """Print the lines that are asked for, as they come."""
    from offload.cli.ask import talk
    from offload.wire.gen import calls_pb2

    async def read(link: Link) -> None:
        stream = link.stream("offload.v1.Calls/Logs", calls_pb2.LogBatch)
        await stream.send(request)
        await stream.end()
        async for batch in stream:
            for line in batch.lines:
                print_line(line, as_json=as_json)
            sys.stdout.flush()

    talk(read)


def print_line(line: common_pb2.LogLine, *, as_json: bool) -> None:
    """Print a line of output where it belongs."""
    if as_json:
        show.print_json(show.as_document(line), indent=None)
    elif line.stream == "stderr":
        print(line.text, file=sys.stderr)
    else:
        print(line.text)
