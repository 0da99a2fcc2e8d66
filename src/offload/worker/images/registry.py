"""Fetches images from OCI registries: manifests, blobs, and what a registry wants to know before it gives them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import IO, TYPE_CHECKING

from offload.worker.images.references import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Configuration,
    Manifest,
    Reference,
    RegistryError,
    architecture,
    choose,
    parse_configuration,
    parse_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from offload.worker.images.references import Descriptor

_TIMEOUT_SECONDS = 60.0
_MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_CHUNK = 1024 * 1024
_TRIES = 3
_CHALLENGE = re.compile(r'([a-zA-Z_]+)="([^"]*)"')
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to where blobs really lie, without telling them the registry's credentials."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Mapping[str, str],  # type: ignore[override]  # it is one
        newurl: str,
    ) -> urllib.request.Request | None:
        made = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # as above
        if made is not None and urllib.parse.urlsplit(newurl).netloc != req.host:
            made.remove_header("Authorization")
        return made


class Registry:
    """One registry, asked for one repository. Blocking; `secret` has `username` and `password`."""

    def __init__(
        self,
        reference: Reference,
        secret: Mapping[str, str],
        *,
        mirror: str = "",
        ca_file: Path | None = None,
    ) -> None:
        self.reference = reference
        self._secret = secret
        self._authorization = ""
        host = reference.registry
        if mirror and reference.is_on_docker_hub:
            host = mirror
        if "://" not in host:
            # As every other tool does: what does not leave this machine needs no TLS.
            is_local = host.rpartition(":")[0] in _LOCAL or host in _LOCAL
            host = f"{'http' if is_local else 'https'}://{host}"
        self._base = f"{host.rstrip('/')}/v2/{reference.repository}"
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        self._opener = urllib.request.build_opener(
            _Redirects(), urllib.request.HTTPSHandler(context=context)
        )

    def manifest(self) -> Manifest:
        """Return the image's manifest for this machine. Raises `RegistryError`."""
        data = self._manifest(self.reference.tag)
        if b'"manifests"' in data and b'"layers"' not in data:
            data = self._manifest(choose(data, architecture()))
        return parse_manifest(data)

    def configuration(self, manifest: Manifest) -> Configuration:
        """Return how programs run in the image. Raises `RegistryError`."""
        with self._open(f"blobs/{manifest.config.digest}") as reply:
            data = reply.read(_MAX_MANIFEST_BYTES)
        _check(data, manifest.config.digest)
        return parse_configuration(data)

    def fetch(self, blob: Descriptor, file: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        """Write a blob to a file, go on where the connection breaks, and check it. Raises `RegistryError`."""
        digest = hashlib.sha256()
        for attempt in range(_TRIES):
            done = file.tell()
            try:
                headers = {"Range": f"bytes={done}-"} if done else {}
                with self._open(f"blobs/{blob.digest}", headers) as reply:
                    if done and reply.status != 206:
                        file.seek(0)
                        file.truncate()
                        digest = hashlib.sha256()
                    while data := reply.read(_CHUNK):
                        file.write(data)
                        digest.update(data)
                        on_bytes(len(data))
                        if file.tell() > blob.size_bytes:
                            raise RegistryError(f"{blob.digest} is larger than the manifest says")
            except (OSError, HTTPException) as error:
                if attempt == _TRIES - 1:
                    raise RegistryError(f"{self.reference}: {error}") from error
                continue
            if file.tell() >= blob.size_bytes:
                break
        if f"sha256:{digest.hexdigest()}" != blob.digest:
            raise RegistryError(f"{self.reference}: a layer does not have the SHA-256 it should")

    def _manifest(self, tag: str) -> bytes:
        accept = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
        with self._open(f"manifests/{tag}", {"Accept": accept}) as reply:
            data: bytes = reply.read(_MAX_MANIFEST_BYTES)
        if tag.startswith("sha256:"):
            _check(data, tag)
        return data

    def _open(self, path: str, headers: Mapping[str, str] = {}):  # type: ignore[no-untyped-def]  # noqa: ANN202 - urllib's own type is untyped; never changed
        for is_last in (False, True):
            request = urllib.request.Request(f"{self._base}/{path}", headers=dict(headers))  # noqa: S310 - http or https
            if self._authorization:
                request.add_header("Authorization", self._authorization)
            try:
                return self._opener.open(request, timeout=_TIMEOUT_SECONDS)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 401 or is_last:
                    raise RegistryError(self._explain(error)) from error
                self._authorize(error.headers.get("WWW-Authenticate", ""))
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", error)
                raise RegistryError(
                    f"{self.reference}: the registry cannot be reached: {reason}"
                ) from error
        raise AssertionError  # the second time returns or raises

    def _authorize(self, challenge: str) -> None:
        """Get what the registry wants to see: a token for its realm, or the name and password themselves."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            if not self._secret:
                raise RegistryError(
                    f"{self.reference} needs a name and a password: "
                    'write from_registry(…, secret={"username": …, "password": …})'
                )
            self._authorization = self._basic()
            return
        fields = dict(_CHALLENGE.findall(rest))
        if scheme.lower() != "bearer" or not fields.get("realm", "").startswith(
            ("https://", "http://")
        ):
            raise RegistryError(
                f"{self.reference}: the registry asks for {scheme or 'nothing known'}"
            )
        query = {"service": fields.get("service", ""), "scope": fields.get("scope", "")}
        url = f"{fields['realm']}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url)  # noqa: S310 - checked above
        if self._secret:
            request.add_header("Authorization", self._basic())
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as reply:
                answer = json.loads(reply.read(_MAX_MANIFEST_BYTES))
        except urllib.error.HTTPError as error:
            error.close()
            raise RegistryError(self._explain(error)) from error
        except (OSError, ValueError, HTTPException) as error:
            raise RegistryError(
                f"{self.reference}: no token from {fields['realm']}: {error}"
            ) from error
        token = answer.get("token") or answer.get("access_token")
        self._authorization = f"Bearer {token}"

    def _basic(self) -> str:
        pair = f"{self._secret.get('username', '')}:{self._secret.get('password', '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _explain(self, error: urllib.error.HTTPError) -> str:
        if error.code == 404:
            return f"there is no image {self.reference}"
        if error.code in (401, 403):
            given = "the name or password is wrong" if self._secret else "it may need secret="
            return f"the registry does not give {self.reference} ({error.code}): {given}, or there is no such image"
        return f"{self.reference}: the registry answers {error.code} {error.reason}"


def _check(data: bytes, digest: str) -> None:
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise RegistryError(f"what the registry sent for {digest} is something else")
