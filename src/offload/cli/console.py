"""Running a program in a container, with this process's terminal or pipes as its own."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from offload.cli import terminal
from offload.cli.ask import talk
from offload.cli.exits import CliError, Exit
from offload.sdk.client.consoles import Conversation, Program, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from offload.wire.link import Link

# What a program may know of the person's terminal.
_PASSED_ON = ("TERM", "COLORTERM")


def run_in_container(
    container_id: str, command: Sequence[str], scope: Mapping[str, str], ends_call: str = ""
) -> int:
    """Run a program, or a shell, to its end, and with it a call's; return its exit code. Raises `CliError`."""
    is_terminal = terminal.is_terminal()
    program = Program(
        container_id,
        tuple(command),
        scope["workspace"],
        scope["environment"],
        terminal.size() if is_terminal else None,
        _terminal_variables() if is_terminal else {},
        ends_call,
    )
    try:
        with terminal.raw():
            return talk(partial(_converse, program))
    except BrokenPipeError:  # whoever reads our output has seen enough
        return Exit.BROKEN_PIPE
    except RefusedError as error:
        raise CliError(f"In container {container_id}: {error}.", Exit.SERVER) from None


def _terminal_variables() -> dict[str, str]:
    environ = os.environ  # noqa: TID251  # what the terminal is, nobody else knows
    return {name: environ[name] for name in _PASSED_ON if name in environ}


async def _converse(program: Program, link: Link) -> int:
    conversation = Conversation(link)
    keyboard = terminal.Keyboard()
    try:
        return await terminal.follow_signals(
            conversation, lambda: conversation.run(program, keyboard)
        )
    finally:
        keyboard.close()
