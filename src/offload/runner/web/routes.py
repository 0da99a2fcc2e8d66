"""A function that answers the requests for one path, given to it as arguments."""

from __future__ import annotations

import inspect
import json
import sys
import typing
from urllib.parse import parse_qs, parse_qsl

from offload.runner.web.conversion import MismatchError, convert, is_list, is_structure
from offload.sdk.web_paths import parse_path
from offload.sdk.web_values import WebRequest, WebResponse
from offload.wire.guest import web

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from offload.runner.callee import UserFunction
    from offload.sdk.web_marks import Endpoint

_ABSENT = object()


class RefusedError(Exception):
    """The request cannot be given to the function; `response` says why."""

    def __init__(
        self, status: int, detail: object, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        self.response = WebResponse({"detail": detail}, status, headers)


class Route:
    """The function with its path."""

    def __init__(self, function: UserFunction, endpoint: Endpoint) -> None:
        self.function = function
        self.name = getattr(function, "__name__", "the function")
        self._template = parse_path(endpoint.path)
        self._methods = endpoint.methods
        self._parameters = inspect.signature(function).parameters
        try:
            self._hints = typing.get_type_hints(function)
        except NameError as error:
            raise TypeError(
                f"the type hints of {self.name}() are not there in its container: {error}; import them where the function is "
                "defined, not under TYPE_CHECKING"
            ) from error

    def accept(self, head: web.RequestHead) -> dict[str, str]:
        """Return what the path has in the places of its names. Raises `RefusedError`."""
        found = self._template.match(head.path)
        if found is None:
            raise RefusedError(404, "Not Found")
        method = "GET" if head.method == "HEAD" and "HEAD" not in self._methods else head.method
        if head.is_websocket or method not in self._methods:
            allow = [*self._methods, *(["HEAD"] if "GET" in self._methods else [])]
            raise RefusedError(405, "Method Not Allowed", (("Allow", ", ".join(allow)),))
        return found

    def arguments(
        self, head: web.RequestHead, path_params: dict[str, str], body: bytes
    ) -> dict[str, object]:
        """Return what the function is called with. Raises `RefusedError` with everything that does not fit."""
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers]
        request = WebRequest(
            head.method,
            head.path,
            path_params=path_params,
            query=head.query.decode("utf-8", "replace"),
            headers=pairs,
            body=body,
        )
        source = _Source(request)
        given: dict[str, object] = {}
        problems: list[dict[str, object]] = []
        for name, parameter in self._parameters.items():
            hint = self._hints.get(name)
            if hint is WebRequest or (hint is None and name == "request"):
                given[name] = request
                continue
            place, value = source.find(name, hint)
            try:
                if value is not _ABSENT:
                    given[name] = convert(value, hint)
                elif parameter.default is inspect.Parameter.empty:
                    raise MismatchError("it is missing")
            except MismatchError as error:
                problems.append({"loc": [place, name, *error.where], "msg": str(error)})
        if problems:
            raise RefusedError(422, problems)
        return given


class _Source:
    """Where arguments come from: the path, the query, the body."""

    def __init__(self, request: WebRequest) -> None:
        self._request = request
        self._fields: object = None
        self._is_parsed = False

    def find(self, name: str, hint: object) -> tuple[str, object]:
        """Return where the parameter's value would be, and the value. Raises `RefusedError` for a body that is none."""
        request = self._request
        if name in request.path_params:
            return "path", request.path_params[name]
        if hint is bytes or (hint is str and name == "body"):
            return "body", request.body if hint is bytes else request.text
        if name == "body" or is_structure(hint):
            body = self._parsed()
            return "body", _ABSENT if body is None else body
        if name in request.query_params:
            query = request.query_params
            return "query", query.get_list(name) if is_list(hint) else query[name]
        fields = self._parsed()
        if isinstance(fields, dict) and name in fields:
            return "body", fields[name]
        return "query" if not request.body else "body", _ABSENT

    def _parsed(self) -> object:
        if not self._is_parsed:
            self._is_parsed = True
            kind = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "application/x-www-form-urlencoded":
                named = parse_qs(self._request.text, keep_blank_values=True)
                pairs = dict(parse_qsl(self._request.text, keep_blank_values=True))
                self._fields = {n: v if len(v) > 1 else pairs[n] for n, v in named.items()}
            elif self._request.body and (kind.endswith("json") or not kind):
                try:
                    self._fields = self._request.json()
                except ValueError as error:
                    problem = {"loc": ["body"], "msg": f"it is no JSON: {error}"}
                    raise RefusedError(422, [problem]) from error
        return self._fields


def response_of(value: object, name: str) -> tuple[WebResponse, bytes | None]:
    """Return the response that a function's result is, and its whole body; None where it is to be iterated over."""
    response = _as_response(value)
    body = response.body
    kind = response.content_type
    if isinstance(body, (bytes, bytearray, memoryview)):
        data, usual = bytes(body), "application/octet-stream"
    elif isinstance(body, str) and isinstance(value, WebResponse):
        data, usual = body.encode(), "text/plain; charset=utf-8"
    elif hasattr(body, "__aiter__") or hasattr(body, "__next__"):
        return _with_type(response, kind or "application/octet-stream"), None
    else:
        data, usual = _json(body, name), "application/json"
    return _with_type(response, kind or usual), data


def _as_response(value: object) -> WebResponse:
    if isinstance(value, WebResponse):
        return value
    if (
        isinstance(value, tuple)
        and len(value) == 2
        and type(value[1]) is int
        and 200 <= value[1] <= 599
    ):
        return WebResponse(value[0], value[1])
    return WebResponse(value)


def _with_type(response: WebResponse, kind: str) -> WebResponse:
    names = {name.lower() for name, _ in response.headers}
    if "content-type" not in names and response.status not in (204, 304):
        response.headers.append(("content-type", kind))
    return response


def _json(value: object, name: str) -> bytes:
    try:
        return json.dumps(value, default=_plain, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name}() has returned what JSON cannot say ({error}): return such a value, or an offload.WebResponse"
        ) from error


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if hasattr(value, "__dataclass_fields__"):
        return {field: getattr(value, field) for field in value.__dataclass_fields__}
    if isinstance(value, (set, frozenset)):
        return list(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if "enum" in sys.modules and isinstance(value, sys.modules["enum"].Enum):
        return value.value
    if type(value).__name__ in ("UUID", "Decimal") or hasattr(value, "__fspath__"):
        return str(value)
    raise TypeError(f"a {type(value).__name__}")


def head_of(response: WebResponse, size: int | None) -> web.ResponseHead:
    """Return how the response begins."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    if size is not None and response.status not in (204, 304):
        headers = [pair for pair in headers if pair[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % size))
    return web.ResponseHead(response.status, tuple(headers))
