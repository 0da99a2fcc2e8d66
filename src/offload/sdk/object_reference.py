"""Where an object with a name is found, before anybody has looked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk.config import read_config
from offload.sdk.ids import new_id
from offload.sdk.session import current_client
from offload.sdk.values import ObjectOrder

if TYPE_CHECKING:
    from offload.sdk.app import App

PREFIX_OF = {"dict": "di-", "queue": "qu-", "volume": "vo-", "secret": "se-"}


class Reference:
    """Finds an object on the server once, when it is first needed; what travels in a pickle."""

    def __init__(
        self,
        kind: str,
        name: str = "",
        environment: str | None = None,
        *,
        create_if_missing: bool = False,
        app: App | None = None,
    ) -> None:
        self.kind = kind
        self.name = name
        self.environment = environment
        self.app = app
        self.known_id = ""  # once it has been found
        self._create_if_missing = create_if_missing
        self._own_ids: dict[str, str] = {}  # of an anonymous object, in each run of its app
        self._opening: asyncio.Task[str] | None = None

    def __getstate__(self) -> dict[str, object]:
        # An anonymous object has its id from here, so that whoever needs it first can make it.
        app_id = "" if self.name else self._app_id()
        return {
            "kind": self.kind,
            "name": self.name,
            "environment": self.environment,
            # One of a `with` block has been made there, and its end is for good.
            "create_if_missing": self._create_if_missing and bool(self.name or app_id),
            "known_id": self.known_id,
            "own_ids": {} if self.name else {app_id: self.own_id(app_id)},
        }

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, app=None, _opening=None)
        self._create_if_missing = bool(self.__dict__.pop("create_if_missing"))
        self._own_ids = self.__dict__.pop("own_ids")

    @property
    def label(self) -> str:
        """What a person calls it."""
        return repr(self.name) if self.name else self.known_id or "anonymous"

    @property
    def current_id(self) -> str:
        """The object's id where it has been found; empty where it is to be looked for."""
        if not self.known_id or self.name:
            return self.known_id
        return self.known_id if self.known_id == self._own_ids.get(self._app_id()) else ""

    async def object_id(self) -> str:
        """Return the object's id. Raises `OffloadError` where there is no such object."""
        if self.current_id:
            return self.current_id
        if self._opening is None:
            order = self.order("" if self.name else self._app_id())
            self._opening = asyncio.get_running_loop().create_task(self._open(order))
        return await asyncio.shield(self._opening)

    def order(self, app_id: str = "") -> ObjectOrder:
        """Return what the server is to open."""
        config = read_config()
        return ObjectOrder(
            self.kind,
            config.workspace,
            self.environment or config.environment,
            self.name,
            new_id(PREFIX_OF[self.kind]) if self.name else self.own_id(app_id),
            self._create_if_missing,
            app_id,
        )

    def own_id(self, app_id: str) -> str:
        """Return the id that an anonymous object has in a run of its app."""
        known = self._own_ids.get(app_id)
        if known is None:
            known = self._own_ids[app_id] = new_id(PREFIX_OF[self.kind])
        return known

    async def _open(self, order: ObjectOrder) -> str:
        try:
            opened = await current_client().objects.open(order)
            self.known_id = opened.object_id
        finally:
            self._opening = None
        return self.known_id

    def _app_id(self) -> str:
        if self.app is not None:
            return self.app.current_run(f"an ephemeral {self.kind} of this app").app_id
        if not self._own_ids:
            raise InvalidError(
                f"an ephemeral {self.kind} lives as long as a `with` block or an app: write "
                f"`with offload.{self.kind.capitalize()}.ephemeral() as d:`, or ephemeral(app=app)"
            )
        return next(iter(self._own_ids))
