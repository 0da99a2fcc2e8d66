"""How a step of an image is named: by the SHA-256 of what it is and of everything before it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Where files that are Python modules are shown to containers; first on their import path.
SOURCE_DIR = "/opt/offload/source"

# An entry of a function's import path that stands for what its interpreter has by itself.
OWN_PATH = ""


def step_digest(
    before: str, kind: str, arguments: Sequence[str], settings: Mapping[str, str], content: str
) -> str:
    """Return a step's digest; `before` is the previous step's, `content` the SHA-256 of its content, or each empty.

    Every part is hashed with its length before it, so that no two steps run together into the same bytes.
    """
    pairs = [text for pair in sorted(settings.items()) for text in pair]
    parts = (
        "1",
        before,
        kind,
        str(len(arguments)),
        *arguments,
        str(len(settings)),
        *pairs,
        content,
    )
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
