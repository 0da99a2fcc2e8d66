"""Cutting what a container says to sizes that the rest of the platform can carry."""

from __future__ import annotations

MAX_LINE_BYTES = 64 * 1024
MAX_TEXT_BYTES = 64 * 1024
MAX_NAME_BYTES = 1024

_ELLIPSIS = " …"


def cut(text: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text, shortened to `max_bytes` of UTF-8 with a mark where it was longer."""
    if len(text) * 4 <= max_bytes:
        return text
    data = text.encode("utf-8", "replace")
    if len(data) <= max_bytes:
        return text
    return data[: max_bytes - len(_ELLIPSIS.encode())].decode("utf-8", "ignore") + _ELLIPSIS


def one_line(text: str, max_bytes: int = MAX_NAME_BYTES) -> str:
    """Return the text on one line, shortened."""
    return cut(" ".join(text.split()), max_bytes)


def split_long(text: str) -> list[str]:
    """Return the line in pieces of at most `MAX_LINE_BYTES` of UTF-8."""
    if len(text) * 4 <= MAX_LINE_BYTES:
        return [text]
    data = text.encode("utf-8", "replace")
    pieces = []
    while data:
        end = MAX_LINE_BYTES
        # Never between the bytes of one character.
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(data[:end].decode("utf-8", "replace"))
        data = data[end:]
    return pieces


class LineSplitter:
    """Makes lines of bytes that arrive in pieces. Holds at most one unfinished line of `MAX_LINE_BYTES`."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) >= MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return [
            piece
            for line in lines
            for piece in split_long(line.rstrip(b"\r").decode("utf-8", "replace"))
        ]

    def finish(self) -> list[str]:
        """Return what is left as a last line, if anything is."""
        rest, self._rest = self._rest, b""
        return split_long(rest.decode("utf-8", "replace")) if rest else []
