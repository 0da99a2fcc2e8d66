"""The options that say whose app is meant, and in which environment."""

from __future__ import annotations

import click

_workspace = click.option(
    "--workspace", metavar="NAME", help="Whose it is; default: the settings'."
)
_environment = click.option(
    "--env",
    "environment",
    metavar="NAME",
    help="The environment; default: the settings', or main.",
)


def scoped(command: click.decorators.FC) -> click.decorators.FC:
    """Add `--env` and `--workspace` to a command, which gets them as `environment` and `workspace`."""
    return _environment(_workspace(command))


def scope_of(workspace: str | None, environment: str | None) -> dict[str, str]:
    """Return both as the server is to have them: what was not said is what the settings say."""
    from offload.cli.exits import CliError
    from offload.errors import OffloadError
    from offload.sdk.config import read_config

    try:
        config = read_config()
    except OffloadError as error:
        raise CliError(str(error)) from None
    return {
        "workspace": workspace or config.workspace,
        "environment": environment or config.environment,
    }
