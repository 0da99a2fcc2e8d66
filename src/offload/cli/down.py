"""`offload down`: ends the local stack."""

from __future__ import annotations

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit


@click.command()
@show.json_option
def command(*, as_json: bool) -> None:
    """End the local stack and everything it runs. What it had accepted goes on when it is started again."""
    from offload.errors import OffloadError
    from offload.sdk.stack import stop_local_stack

    try:
        stopped = stop_local_stack()
    except OffloadError as error:
        raise CliError(str(error), Exit.SERVER) from None
    if as_json:
        show.print_json({"stopped": stopped})
    else:
        print("The local stack has ended." if stopped else "No local stack is running.")
