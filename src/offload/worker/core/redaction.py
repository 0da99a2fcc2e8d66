"""What secrets look like in what a container says, and hiding it there. Pure.

A value is looked for as it is, in base64 at each of the three places where it can begin there (with both alphabets), and as
Python, JSON and URLs escape it. Line ends do not count: a value that is written piece by piece is found over the ends of
the lines and of the writes. No line is kept waiting for the next for that: a line that ends as a value begins has that end
hidden from `MIN_PART` characters on, whatever follows, and the rest of the value is hidden where it follows.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

# Shorter values are found everywhere by chance, and are guessed rather than read.
MIN_CHARACTERS = 6
MIN_PART = 4
MASK = "***"

_LINE_ENDS = re.compile(r"[\r\n]+")
_MAX_OPEN = 1_024  # streams that end within a value at the same time

Span = tuple[int, int]


class Redactor:
    """Hides the values of one container."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._encoded = [form.encode("utf-8", "surrogatepass") for form in self._forms]
        self._open: dict[Hashable, str] = {}  # by stream: how a value may have begun

    def line(self, stream: Hashable, text: str) -> str:
        """Hide what is in the next line, or piece of one, of a stream."""
        before = self._open.pop(stream, "")
        joined = before + text
        spans = list(self._find(joined))
        part = self._begun(joined)
        if part:
            if len(self._open) >= _MAX_OPEN:
                self._open.pop(next(iter(self._open)))
            self._open[stream] = joined[-part:]
            if part >= MIN_PART:
                spans.append((len(joined) - part, len(joined)))
        shift = len(before)
        return _masked(text, [(max(0, start - shift), end - shift) for start, end in spans])

    def text(self, text: str) -> str:
        """Hide what is in a whole text."""
        if not _LINE_ENDS.search(text):
            return _masked(text, list(self._find(text)))
        places = [at for at, character in enumerate(text) if character not in "\r\n"]
        flat = "".join(text[at] for at in places)
        spans = [(places[start], places[end - 1] + 1) for start, end in self._find(flat)]
        return _masked(text, spans)

    def same_length(self, data: bytes) -> bytes:
        """Hide what is in bytes whose length, and those of their parts, must stay: a pickle stays one."""
        for form in self._encoded:
            if form in data:
                data = data.replace(form, b"*" * len(form))
        return data

    def _find(self, text: str) -> Iterator[Span]:
        for form in self._forms:
            start = text.find(form)
            while start >= 0:
                yield (start, start + len(form))
                start = text.find(form, start + 1)

    def _begun(self, text: str) -> int:
        """Return how many of the last characters a value begins with, at most."""
        longest = 0
        for form in self._forms:
            end = min(len(form) - 1, len(text))
            while end > longest:
                # Only places with the text's last character can be it.
                end = form.rfind(text[-1], longest, end) + 1
                if end and text.endswith(form[:end]):
                    longest = end
                    break
                end -= 1
        return longest


def _forms(value: str) -> Iterator[str]:
    if len(value) < MIN_CHARACTERS:
        return
    escaped = (repr(value)[1:-1], json.dumps(value)[1:-1], _quoted(value))
    for form in (value, *value.splitlines(), *escaped, *_in_base64(value)):
        flat = _LINE_ENDS.sub("", form)
        if len(flat) >= MIN_CHARACTERS:
            yield flat


def _quoted(value: str) -> str:
    data = value.encode("utf-8", "surrogatepass")
    return re.sub(rb"[^A-Za-z0-9_.~-]", lambda byte: b"%%%02X" % byte[0][0], data).decode()


def _in_base64(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        # Only the characters that depend on nothing but the value.
        first, end = (before * 8 + 5) // 6, (before + len(data)) * 8 // 6
        padded = b"\0" * before + data
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(padded).decode()[first:end]


def _masked(text: str, spans: list[Span]) -> str:
    if not spans:
        return text
    parts: list[str] = []
    done = 0
    for start, end in _merged(spans):
        if end > 0:
            parts += (text[done:start], MASK)
            done = end
    return "".join((*parts, text[done:]))


def _merged(spans: list[Span]) -> Iterator[Span]:
    start, end = -1, -1
    for next_start, next_end in sorted(spans):
        if next_start > end:
            if end > 0:
                yield (start, end)
            start, end = next_start, next_end
        else:
            end = max(end, next_end)
    yield (start, end)
