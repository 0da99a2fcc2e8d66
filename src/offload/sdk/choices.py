"""What options of a function take that is an object on the server. Only for type checkers: nothing is imported for it."""

from __future__ import annotations

from typing import Protocol


class SecretChoice(Protocol):
    """Variables that only containers see; see `offload.Secret`."""

    @property
    def is_secret(self) -> bool:
        """Whether it is one."""
        ...

    async def bind(self, scope: tuple[str, str], app_id: str | None) -> str:
        """Return its id for functions of an app, in a workspace and environment. Raises `OffloadError`.

        The app is None for one that is deployed.
        """
        ...


class VolumeChoice(Protocol):
    """A volume that containers find at a path; see `offload.Volume`."""

    is_read_only: bool
    mounted_path: str

    async def find(self) -> str:
        """Return its id. Raises `OffloadError` where there is no such volume."""
        ...
