"""Makes, checks and revokes the keys of web endpoints."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.model import DEFAULT_WORKSPACE
from offload.control.core.web_keys import WebKey, digest_of
from offload.control.ports.key_records import RemoveWebKey, SaveWebKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.control.services.kernel import Kernel

MAX_NAME_CHARACTERS = 100
MAX_KEYS = 10_000


class WebKeys:
    """All keys, in memory as in the store."""

    def __init__(self, kernel: Kernel, known: Iterable[WebKey]) -> None:
        self._kernel = kernel
        self._keys = {key.key_id: key for key in known}

    async def create(self, workspace: str, name: str) -> tuple[WebKey, str]:
        """Make a key; return it with its secret, which nobody can be told again, once it is on disk."""
        if len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            raise DomainError(
                ErrorCode.INVALID,
                f"{name[:40]!r} is no name of a key: at most {MAX_NAME_CHARACTERS} printable characters.",
            )
        if len(self._keys) >= MAX_KEYS:
            raise DomainError(
                ErrorCode.RESOURCE_EXHAUSTED,
                f"There are {MAX_KEYS} keys: revoke some with `offload web-key rm`.",
            )
        secret = f"os-{secrets.token_urlsafe(32)}"
        now = self._kernel.clock.now()
        key_id = f"ok-{secrets.token_hex(13)}"
        key = WebKey(key_id, workspace or DEFAULT_WORKSPACE, name, digest_of(secret), now)
        journal = self._kernel.journal
        journal.require_working()
        try:
            await journal.durable((SaveWebKey(key),))
        except DomainError:
            # What the store would not take now it takes later, and nobody has its secret.
            journal.write((RemoveWebKey(key_id),))
            raise
        self._keys[key.key_id] = key
        return key, secret

    def list(self, workspace: str) -> list[WebKey]:
        """Return the keys of a workspace, oldest first."""
        wanted = workspace or DEFAULT_WORKSPACE
        found = [key for key in self._keys.values() if key.workspace == wanted]
        return sorted(found, key=lambda key: (key.created_at, key.key_id))

    async def revoke(self, workspace: str, key_id: str) -> None:
        """Have a key open nothing any more, from now on."""
        key = self._keys.get(key_id)
        if key is None or key.workspace != (workspace or DEFAULT_WORKSPACE):
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no key {key_id[:60]!r}: `offload web-key ls` lists them.",
            )
        del self._keys[key_id]
        await self._kernel.journal.durable((RemoveWebKey(key_id),))

    def check(self, workspace: str, key_id: str, secret: str) -> bool:
        """Whether this pair opens the endpoints of a workspace."""
        key = self._keys.get(key_id)
        if key is None or key.workspace != workspace:
            return False
        return hmac.compare_digest(key.digest, digest_of(secret))
