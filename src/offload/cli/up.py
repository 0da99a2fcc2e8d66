"""`offload up`: starts the local stack."""

from __future__ import annotations

import click

from offload.cli import show
from offload.cli.exits import CliError, Exit


@click.command()
@show.json_option
def command(*, as_json: bool) -> None:
    """Start the local stack (a server and a worker in the background), unless it runs already.

    Where a server is configured, only check that it can be found.
    """
    from offload.errors import OffloadError
    from offload.sdk.stack import find_server

    try:
        address = find_server()
    except OffloadError as error:
        raise CliError(str(error), Exit.SERVER) from None
    if as_json:
        show.print_json({"server_url": address.url})
    else:
        print(f"The server is at {address.url}; `offload status` shows what it does.")
