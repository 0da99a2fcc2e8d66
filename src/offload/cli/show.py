"""Printing: tables and JSON documents, the same content on a terminal and in a pipe."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import click
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google._upb._message import FieldDescriptor as _CompiledField
    from google.protobuf.message import Message
    from rich.console import Console

    _Field = FieldDescriptor | _CompiledField

_READABLE = (
    30  # characters of the last column, in which sentences stand, that a table needs at least
)
_GAP = 3  # what a table puts between two columns

_LONG = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def pass_json_on(ctx: click.Context, *, as_json: bool) -> None:
    """Have the subcommand print JSON too: where an error is printed --json is seen anywhere on the line."""
    if as_json and ctx.invoked_subcommand is not None:
        ctx.default_map = {ctx.invoked_subcommand: {"as_json": True}}


def count_of(number: int, noun: str) -> str:
    """Return "1 input" or "2 inputs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_json(document: object, indent: int | None = 2) -> None:
    """Print one JSON document; without `indent`, on one line."""
    print(json.dumps(document, ensure_ascii=False, indent=indent))


def as_document(message: Message) -> dict[str, object]:
    """Return a reply as JSON values with the schema's own field names, absent ones included."""
    document: dict[str, object] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    fields = message.DESCRIPTOR.fields_by_name
    return {name: _with_numbers(value, fields[name]) for name, value in document.items()}


def _with_numbers(value: object, field: _Field) -> object:
    """Undo protobuf's spelling of 64-bit numbers as strings: scripts compare them, and ours fit a double."""
    if isinstance(value, list):
        return [_with_numbers(item, field) for item in value]
    if isinstance(value, dict) and field.message_type is not None:
        fields = field.message_type.fields_by_name
        is_map = field.message_type.GetOptions().map_entry
        return {
            key: _with_numbers(item, fields["value" if is_map else key])
            for key, item in value.items()
        }
    if isinstance(value, str) and field.cpp_type in _LONG:
        return int(value)
    return value


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a title, the first cell of each being its id.

    On a terminal: drawn by rich, without columns that say nothing, and as paragraphs where it is too narrow for a table.
    Piped: in aligned columns, always the same ones.
    """
    listed = [tuple(row) for row in rows]
    if not listed:
        return
    if sys.stdout.isatty():
        _show(title, columns, listed)
        return
    widths = _widths(columns, listed)
    print(f"{title}:")
    for line in (tuple(column.upper() for column in columns), *listed):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("  " + "  ".join(cells).rstrip())


def _show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console

    said = [n for n, cells in enumerate(zip(*rows, strict=True)) if set(cells) - {"-", ""}]
    columns = [columns[n] for n in said]
    rows = [[row[n] for n in said] for row in rows]
    console = Console()
    *narrow, last = _widths(columns, rows)
    if sum(narrow) + min(last, _READABLE) + _GAP * len(said) <= console.width:
        _draw(console, title, columns, rows)
        return
    console.print(title, style="bold", highlight=False)
    for row in rows:
        print(f"  {row[0]}")
        pairs = zip(columns[1:], row[1:], strict=True)
        text = "; ".join(f"{column}: {cell}" for column, cell in pairs if cell not in {"-", ""})
        print(_paragraph(text, console.width))
    print()


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]


def _draw(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, no_wrap=column is not columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _paragraph(text: str, width: int) -> str:
    import textwrap

    indent = " " * 6
    return textwrap.fill(
        text,
        max(width, 30),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def ago(then: float, now: float) -> str:
    """Say how long ago a Unix time was, in the largest unit that fits."""
    seconds = max(0.0, now - then)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def wall_clock() -> float:
    """Return the time in Unix seconds, to say how long ago something was."""
    return time.time()  # noqa: TID251  # what a person's terminal shows is real time
