"""Keys that open web endpoints: a pair of an id and a secret, of which only what the secret hashes to is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebKey:
    """One pair. It opens the endpoints of its workspace."""

    key_id: str  # "ok-…", which may be seen
    workspace: str
    name: str  # whose it is, for people
    digest: str  # SHA-256 of its secret, in hex
    created_at: float


def digest_of(secret: str) -> str:
    """Return what is kept of a secret. It is as random as a key, so a hash that is quick to make gives nothing away."""
    return hashlib.sha256(secret.encode()).hexdigest()
