"""`offload worker doctor`: what this machine offers to a worker, what is missing, and how to get it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offload.cli import show
from offload.cli.exits import Exit

if TYPE_CHECKING:
    from offload.worker.core.doctor import Finding, MachineFacts, Report

_COLOURS = {"ok": "green", "limited": "yellow", "missing": "red"}
_STATE_WIDTH = 9
_NARROWEST = 40


@click.command("doctor")
@show.json_option
def command(*, as_json: bool) -> int:
    """Show what this machine offers to a worker, what is missing, and how to get it.

    Changes nothing. Ends with 0 where functions can run sandboxed at all, else with 5.
    """
    from offload.worker.doctor import look

    return show_findings(look(*_places()), as_json=as_json)


def show_findings(facts: MachineFacts, *, as_json: bool) -> int:
    """Print what the facts mean; return the exit code."""
    from offload.worker.core.doctor import examine

    report = examine(facts)
    if as_json:
        show.print_json(_document(facts, report))
    else:
        _print(facts, report)
    return Exit.OK if report.can_run_sandboxed else Exit.NO_SANDBOX


def _places() -> tuple[Path, tuple[str, ...]]:
    """Return the data directory and where an engine of Docker may listen, as a worker would take them."""
    import os

    from offload.sdk.config import read_config
    from offload.worker.config import WorkerConfig

    data_dir = read_config().data_dir
    named = WorkerConfig.from_environment(data_dir).docker_socket
    usual = (f"/run/user/{os.getuid()}/docker.sock", "/run/docker.sock", "/var/run/docker.sock")
    return data_dir, (named,) if named else usual


def _document(facts: MachineFacts, report: Report) -> dict[str, object]:
    return {
        "can_run_sandboxed": report.can_run_sandboxed,
        "verdict": report.verdict,
        "kernel": facts.kernel,
        "machine": facts.machine,
        "user": facts.user,
        "findings": [finding._asdict() for finding in report.findings],
    }


def _print(facts: MachineFacts, report: Report) -> None:
    """Print a line for each finding, and below what is not well why it matters and what to do."""
    who = "root" if facts.is_root else f"user {facts.user}"
    click.echo(f"Linux {facts.kernel} on {facts.machine}, as {who}")
    name_width = max(len(finding.name) for finding in report.findings)
    for finding in report.findings:
        _print_finding(finding, name_width)
    click.echo()
    click.secho(report.verdict, bold=True)


def _print_finding(finding: Finding, name_width: int) -> None:
    state = click.style(finding.state.ljust(_STATE_WIDTH), fg=_COLOURS[finding.state])
    indent = " " * (2 + _STATE_WIDTH + name_width + 2)
    first, *more = _wrapped(finding.detail, indent)
    click.echo(f"  {state}{finding.name.ljust(name_width)}  {first}")
    for text in (finding.matters, finding.get and f"→ {finding.get}"):
        if text:
            more += _wrapped(text, indent)
    for line in more:
        click.echo(f"{indent}{line}")


def _wrapped(text: str, indent: str) -> list[str]:
    """Fit a text beside its name on a terminal; in a pipe a text is one line."""
    if not sys.stdout.isatty():
        return [text]
    width = max(_NARROWEST, shutil.get_terminal_size().columns - len(indent))
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
