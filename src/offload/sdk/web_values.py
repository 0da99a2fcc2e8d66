"""Requests and responses as functions of `@app.web_endpoint` see them.

Valid on CPython 3.9, because they are made in containers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import cookies
from urllib.parse import parse_qsl

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable
    from typing import Union

    Body = Union[bytes, str, object, Iterable[bytes], AsyncIterable[bytes]]

_FIELDS = ("method", "path", "path_params", "query_params", "headers", "body")


class MultiDict(Mapping[str, str]):
    """The last value of each name, and all of them; names of headers in whichever case."""

    def __init__(self, pairs: Iterable[tuple[str, str]], *, ignores_case: bool = False) -> None:
        self._ignores_case = ignores_case
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(self._key(name), []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._values[self._key(name)][-1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self))

    def get_list(self, name: str) -> list[str]:
        """Return every value of this name."""
        return list(self._values.get(self._key(name), ()))

    def _key(self, name: str) -> str:
        return name.lower() if self._ignores_case else name


class WebRequest(Mapping[str, object]):
    """A request, whole. It also reads like a mapping: `request["method"]`."""

    def __init__(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        path_params: Mapping[str, str] | None = None,
        query: str = "",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.path = path
        self.path_params = dict(path_params or {})
        self.query_params = MultiDict(parse_qsl(query, keep_blank_values=True))
        self.headers = MultiDict(headers, ignores_case=True)
        self.body = body

    def json(self) -> object:
        """Return the body as JSON. Raises `ValueError` where it is none."""
        import json  # noqa: PLC0415 - a container may never need it

        value: object = json.loads(self.body)
        return value

    @property
    def text(self) -> str:
        """The body as text, in the encoding that its type names; else UTF-8."""
        _, _, rest = self.headers.get("content-type", "").partition("charset=")
        name = rest.split(";")[0].strip("\"' ") or "utf-8"
        try:
            return self.body.decode(name, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that came along."""
        jar = cookies.SimpleCookie()
        jar.load(self.headers.get("cookie", ""))
        return {name: morsel.value for name, morsel in jar.items()}

    def __getitem__(self, name: str) -> object:
        if name not in _FIELDS:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)

    def __repr__(self) -> str:
        return f"<WebRequest {self.method} {self.path}>"


class WebResponse:
    """A response: bytes, text, anything that JSON can say, or an iterable (also an async one) of bytes that is sent as it comes."""

    def __init__(
        self,
        body: Body = b"",
        status: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        *,
        content_type: str | None = None,
    ) -> None:
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"status={status!r} is no status of a response: those are 200 to 599")
        given = headers.items() if isinstance(headers, Mapping) else headers or ()
        self.body = body
        self.status = status
        self.headers = [(str(name), str(value)) for name, value in given]
        self.content_type = content_type

    def __repr__(self) -> str:
        return f"<WebResponse {self.status}>"
