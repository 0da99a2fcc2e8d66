"""Write `docs/reference/cli.md` from the commands themselves."""

from collections.abc import Iterator
from pathlib import Path

import click

from offload.cli.main import cli

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"


def pages(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield one section for a command and each of its subcommands."""
    text = command.get_help(context)
    yield f"## {context.command_path}\n\n```text\n{text}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from pages(
                    child, click.Context(child, info_name=name, parent=context, terminal_width=96)
                )


def reference() -> str:
    """Return the whole page."""
    root = click.Context(
        cli, info_name="offload", terminal_width=96, help_option_names=["-h", "--help"]
    )
    return "# Command line\n\n" + "\n".join(pages(cli, root))


if __name__ == "__main__":
    TARGET.write_text(reference())
