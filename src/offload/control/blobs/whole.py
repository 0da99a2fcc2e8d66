"""A blob that is in memory as a whole, to be read in pieces."""

from __future__ import annotations


class WholeReader:
    """See `BlobReader`."""

    def __init__(self, content: bytes, offset: int) -> None:
        self.size_bytes = len(content)
        self._content = content
        self._position = offset

    def read(self, size_bytes: int) -> bytes:
        """See `BlobReader`."""
        data = self._content[self._position : self._position + size_bytes]
        self._position += len(data)
        return data

    def close(self) -> None:
        """See `BlobReader`."""
        self._content = b""
