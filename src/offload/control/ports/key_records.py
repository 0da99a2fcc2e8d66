"""Records about keys of web endpoints, of which there are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.control.core.web_keys import WebKey


@dataclass(frozen=True, slots=True)
class SaveWebKey:
    """A key of web endpoints. Repeats are ignored."""

    key: WebKey


@dataclass(frozen=True, slots=True)
class RemoveWebKey:
    """The key opens nothing any more. Ignored for an unknown one."""

    key_id: str
