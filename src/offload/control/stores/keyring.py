"""The keys of secrets in a file of their own, for the owner alone; see `Keyring`."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import threading
from typing import TYPE_CHECKING

from offload.control.ports.sealed import KeyringError

if TYPE_CHECKING:
    from pathlib import Path

_NONCE_BYTES = 12  # drawn at random: far fewer than 2**32 boxes are sealed with a key
_KEY_BYTES = 32


class FileKeyring:
    """AES-256-GCM with the keys of a file, one a line ("ID BASE64"), the one that seals first.

    A file is written whole and renamed, so that it is the one before or the one after wherever the machine stops.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys: dict[str, bytes] | None = None  # None: not read yet

    @property
    def current(self) -> str:
        """See `Keyring`."""
        with self._lock:
            return next(iter(self._read()), "")

    @property
    def has_old(self) -> bool:
        """See `Keyring`."""
        with self._lock:
            return len(self._read()) > 1

    def seal(self, object_id: str, data: bytes) -> tuple[str, bytes]:
        """See `Keyring`."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - most servers never need it

        with self._lock:
            keys = self._read()
            if not keys:
                keys = self._write(_with_new_key({}))
            key_id, key = next(iter(keys.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return key_id, nonce + AESGCM(key).encrypt(nonce, data, object_id.encode())

    def open(self, object_id: str, key_id: str, box: bytes) -> bytes:
        """See `Keyring`."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

        with self._lock:
            key = self._read().get(key_id)
        if key is None:
            raise KeyringError(
                f"it was sealed with key {key_id}, which is not in {self._path}: put the key file of that time back, or "
                "create the secret again"
            )
        nonce, sealed = box[:_NONCE_BYTES], box[_NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, sealed, object_id.encode())
        except InvalidTag:
            raise KeyringError(
                "what is kept of it was changed or damaged: create the secret again"
            ) from None

    def add(self) -> None:
        """See `Keyring`."""
        with self._lock:
            self._write(_with_new_key(self._read()))

    def drop_old(self) -> None:
        """See `Keyring`."""
        with self._lock:
            keys = self._read()
            if len(keys) > 1:
                self._write(dict(list(keys.items())[:1]))

    def _read(self) -> dict[str, bytes]:
        if self._keys is None:
            try:
                descriptor = os.open(self._path, os.O_RDONLY)
            except FileNotFoundError:
                self._keys = {}
                return self._keys
            except OSError as error:
                raise self._unusable("read", error) from error
            with os.fdopen(descriptor) as stream:
                if os.fstat(descriptor).st_mode & 0o077:
                    raise KeyringError(
                        f"others may read the key file {self._path}: `chmod 600 {self._path}`"
                    )
                self._keys = _parse(self._path, stream.read())
        return self._keys

    def _write(self, keys: dict[str, bytes]) -> dict[str, bytes]:
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        text = "".join(f"{name} {base64.b64encode(key).decode()}\n" for name, key in keys.items())
        try:
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(descriptor)
            draft.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._unusable("written", error) from error
        self._keys = keys
        return keys

    def _unusable(self, what: str, error: OSError) -> KeyringError:
        return KeyringError(f"the key file {self._path} cannot be {what} ({error.strerror})")


def _with_new_key(keys: dict[str, bytes]) -> dict[str, bytes]:
    return {secrets.token_hex(4): secrets.token_bytes(_KEY_BYTES), **keys}


def _parse(path: Path, text: str) -> dict[str, bytes]:
    keys = {}
    for line in text.splitlines():
        key_id, _, encoded = line.partition(" ")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not key_id or len(key) != _KEY_BYTES:
            raise KeyringError(
                f"the key file {path} is damaged: put a copy of it back (without one its secrets are lost)"
            )
        keys[key_id] = key
    return keys
