"""A keyring of tests: it seals without a cipher, and can be told to fail."""

from __future__ import annotations

from offload.control.ports.sealed import KeyringError


class MemoryKeyring:
    """See `Keyring`. Whoever looks at a box sees that it is not the text, and no more is claimed."""

    def __init__(self) -> None:
        self.keys: list[str] = []  # the one that seals first
        self.made = 0

    @property
    def current(self) -> str:
        return self.keys[0] if self.keys else ""

    @property
    def has_old(self) -> bool:
        return len(self.keys) > 1

    def seal(self, object_id: str, data: bytes) -> tuple[str, bytes]:
        if not self.keys:
            self.add()
        return self.current, _mix(f"{self.current} {object_id}".encode(), data)

    def open(self, object_id: str, key_id: str, box: bytes) -> bytes:
        if key_id not in self.keys:
            raise KeyringError(f"it was sealed with key {key_id}, which is not here")
        return _mix(f"{key_id} {object_id}".encode(), box)

    def add(self) -> None:
        self.made += 1
        self.keys.insert(0, f"k{self.made}")

    def drop_old(self) -> None:
        del self.keys[1:]


def _mix(key: bytes, data: bytes) -> bytes:
    return bytes(byte ^ key[at % len(key)] ^ 0x5A for at, byte in enumerate(data))
