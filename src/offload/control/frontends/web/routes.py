"""Which endpoint an address means: `<label>.localhost`, `<label>.<domain>`, or `/web/<app>/<function>` on any host.

An app is meant by its name, which is looked up in the environment "main" of the workspace "default", by
`/web/~<environment>/<app>/…` or `/web/~<workspace>~<environment>/<app>/…` in another one, or by its id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.model import DEFAULT_ENVIRONMENT, DEFAULT_WORKSPACE, DeploymentKey
from offload.control.frontends.web.heads import BadRequestError
from offload.wire.gen import apps_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from offload.control.core.model import Function
    from offload.control.frontends.web.heads import Target
    from offload.wire.gen import endpoints_pb2

PREFIX = "/web/"
MAX_LABEL_CHARACTERS = 63  # of one part of a name in the DNS
_OTHER = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A function, or a method of a class, that answers web requests."""

    function: Function
    web: endpoints_pb2.WebEndpoint

    @property
    def name(self) -> str:
        """What the endpoint is called within its app."""
        return f"{self.function.name}.{self.web.target}" if self.web.target else self.function.name


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes, and what of its path is the way there."""

    endpoint: Endpoint
    root_path: str
    path: str
    raw_path: bytes


def label_of(scope: tuple[str, str], app: str, name: str) -> str:
    """Return the first part of the host of an endpoint that names none; `scope` is its workspace and environment.

    >>> label_of(("default", "main"), "My shop", "Cart.api"), label_of(("default", "dev"), "shop", "api")
    ('my-shop-cart-api', 'dev-shop-api')
    >>> label_of(("lab", "main"), "shop", "api")
    'lab-shop-api'
    """
    usual = (DEFAULT_WORKSPACE, DEFAULT_ENVIRONMENT)
    unusual = [each for each, default in zip(scope, usual, strict=True) if each != default]
    label = _OTHER.sub("-", "-".join((*unusual, app, name)).lower()).strip("-")
    return label[:MAX_LABEL_CHARACTERS].strip("-")


class Routes:
    """Every endpoint by its addresses, made anew when the functions that serve have changed."""

    def __init__(
        self,
        serving: Callable[[], Iterable[Function]],
        changes: Callable[[], int],
        domain: str = "",
    ) -> None:
        self._serving = serving
        self._changes = changes
        self._domains = tuple(f".{each}" for each in ("localhost", domain.lower()) if each)
        self._seen = -1
        self._by_label: dict[str, Endpoint] = {}
        self._by_name: dict[tuple[str, str, str, str], Endpoint] = {}
        self._by_app_id: dict[tuple[str, str], Endpoint] = {}
        self._parsed: dict[str, tuple[Endpoint, ...]] = {}

    def find(self, target: Target) -> Route:
        """Return where a request goes; raise `BadRequestError` where nothing is."""
        self._refresh()
        label = self._label(target.host)
        if label is None:
            return self._by_path(target)
        endpoint = self._by_label.get(label)
        if endpoint is None:
            raise BadRequestError(
                404, f"There is no web endpoint with the label {label!r} on this server."
            )
        return Route(endpoint, "", target.path, target.raw_path)

    def of_function(self, function_id: str) -> Iterator[tuple[Endpoint, str]]:
        """Iterate over the endpoints of a function that serves now, each with its label."""
        self._refresh()
        for endpoint in self._parsed.get(function_id, ()):
            yield endpoint, _label(endpoint)

    def require_own_labels(
        self,
        app: DeploymentKey,
        definitions: Iterable[apps_pb2.FunctionDefinition],
        is_deployed: Callable[[str], bool],
    ) -> None:
        """Refuse a version of an app that names an endpoint's label which is another one's; raises `DomainError`.

        Apps that only run (of which `is_deployed` says no) give way, and so do labels that nobody has named.
        """
        self._refresh()
        own: dict[str, str] = {}
        for definition in definitions:
            for web in definition.web:
                name = f"{definition.name}.{web.target}" if web.target else definition.name
                if own.setdefault(web.label, name) != name and web.label:
                    raise _taken(web.label, name, repr(own[web.label]))
                holder = self._by_label.get(web.label)
                if holder is None or not is_deployed(holder.function.app_id):
                    continue
                key = _key_of(holder.function)
                if key != app:
                    raise _taken(web.label, name, f"{holder.name!r} of app {key}")

    def is_named(self, host: str) -> bool:
        """Whether the host is that of an endpoint, whatever the path."""
        return self._label(host) is not None

    def _label(self, host: str) -> str | None:
        for domain in self._domains:
            if host.endswith(domain):
                return host[: -len(domain)]
        return None

    def _by_path(self, target: Target) -> Route:
        raw = target.raw_path.decode("latin-1")
        parts = raw.split("/") if raw.startswith(PREFIX) else []
        scope = [DEFAULT_WORKSPACE, DEFAULT_ENVIRONMENT]
        skip = 2
        if len(parts) > 2 and parts[2].startswith("~"):
            *workspace, environment = unquote(parts[2][1:]).split("~", 1)
            scope = [*(workspace or scope[:1]), environment]
            skip = 3
        if len(parts) < skip + 2:
            raise BadRequestError(
                404, "There is nothing at this address: endpoints are at /web/<app>/<function>."
            )
        app, name = unquote(parts[skip]), unquote(parts[skip + 1])
        endpoint = self._by_name.get((*scope, app, name)) or self._by_app_id.get((app, name))  # type: ignore[arg-type]
        if endpoint is None:
            raise BadRequestError(404, f"There is no web endpoint {name!r} of an app {app!r} here.")
        root = "/".join(parts[: skip + 2])
        raw_path = raw[len(root) :] or "/"
        path = unquote(raw_path, errors="surrogateescape")
        return Route(endpoint, unquote(root), path, raw_path.encode("latin-1"))

    def _refresh(self) -> None:
        if self._seen == self._changes():
            return
        self._seen = self._changes()
        parsed, self._parsed = self._parsed, {}
        self._by_label, self._by_name, self._by_app_id = {}, {}, {}
        for function in self._serving():
            endpoints = parsed.get(function.function_id)
            if endpoints is None:  # most have none, and that too is known
                endpoints = _endpoints_of(function)
            self._parsed[function.function_id] = endpoints
            for endpoint in endpoints:
                self._add(endpoint)

    def _add(self, endpoint: Endpoint) -> None:
        function = endpoint.function
        scope = (function.workspace, function.environment)
        names = [endpoint.name]
        if endpoint.web.target and sum(1 for _ in self._parsed[function.function_id]) == 1:
            names.append(function.name)
        self._by_label.setdefault(_label(endpoint), endpoint)
        for name in names:
            self._by_name.setdefault((*scope, function.app_name, name), endpoint)
            self._by_app_id.setdefault((function.app_id, name), endpoint)


def _endpoints_of(function: Function) -> tuple[Endpoint, ...]:
    definition = apps_pb2.FunctionDefinition.FromString(function.body)
    return tuple(Endpoint(function, web) for web in definition.web)


def _key_of(function: Function) -> DeploymentKey:
    return DeploymentKey(function.workspace, function.environment, function.app_name)


def _taken(label: str, name: str, whose: str) -> DomainError:
    text = f"The label {label!r} of {name!r} is that of {whose} already: give it another one with label=."
    return DomainError(ErrorCode.ALREADY_EXISTS, text)


def _label(endpoint: Endpoint) -> str:
    function = endpoint.function
    scope = (function.workspace, function.environment)
    return endpoint.web.label or label_of(scope, function.app_name, endpoint.name)


def path_of(endpoint: Endpoint) -> str:
    """Return the path of an endpoint on any host of the server."""
    function = endpoint.function
    parts = [quote(function.app_name, safe=""), quote(endpoint.name, safe="")]
    if function.workspace != DEFAULT_WORKSPACE:
        parts.insert(0, "~" + quote(f"{function.workspace}~{function.environment}", safe="~"))
    elif function.environment != DEFAULT_ENVIRONMENT:
        parts.insert(0, "~" + quote(function.environment, safe=""))
    return PREFIX + "/".join(parts)
