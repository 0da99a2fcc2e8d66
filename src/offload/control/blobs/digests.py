"""What every blob store says about SHA-256s."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from offload.control.ports.blobs import BlobCorruptError, BlobError, BlobMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether the text is a SHA-256 as we write them: 64 lower-case hex digits, so never a path."""
    return _SHA256.fullmatch(text) is not None


def missing(sha256: str) -> BlobMissingError:
    """Return the error for a blob that is not there."""
    if not is_sha256(sha256):
        return BlobMissingError(
            f"{sha256!r:.80} names no blob: a name is a SHA-256 in 64 lower-case hex digits."
        )
    return BlobMissingError(f"There is no blob {sha256}: upload it again.")


def no_pack(pack: str) -> BlobMissingError:
    """Return the error for a pack that nobody put down."""
    return BlobMissingError(f"There is no pack {pack!r:.80} to adopt: upload its blobs.")


def mismatch(expected_sha256: str, found_sha256: str) -> BlobCorruptError:
    """Return the error for an upload whose bytes are not what was announced."""
    return BlobCorruptError(
        f"The blob was to have the SHA-256 {expected_sha256} but has {found_sha256}: "
        "it was changed on its way; upload it again."
    )


def check_offset(sha256: str, offset: int, size_bytes: int) -> None:
    """Raise where a reader would begin outside the blob."""
    if not 0 <= offset <= size_bytes:
        raise BlobError(
            f"The blob {sha256} has {size_bytes} bytes: it cannot be read from {offset}."
        )


def check_all(blobs: Mapping[str, bytes]) -> None:
    """Raise where bytes are not what their name says."""
    for sha256, content in blobs.items():
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise mismatch(sha256, found)
