"""What options may be, as far as `options` looks at them: the classes themselves would be slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.sdk.web_marks import Endpoint


class CallReference(Protocol):
    """A call that another one can come after."""

    @property
    def object_id(self) -> str:
        """The call's id."""
        ...


class ImageChoice(Protocol):
    """What containers run in; see `offload.Image`."""

    @property
    def is_local(self) -> bool:
        """Whether it is the caller's own environment."""
        ...


class VolumeChoice(Protocol):
    """A volume that containers find at a path; see `offload.Volume`."""

    is_read_only: bool
    mounted_path: str

    async def find(self) -> str:
        """Return its id. Raises `OffloadError` where there is no such volume."""
        ...


class SecretChoice(Protocol):
    """Variables that only containers see; see `offload.Secret`."""

    @property
    def is_secret(self) -> bool:
        """Whether it is one."""
        ...

    @property
    def own_values(self) -> Mapping[str, str] | None:
        """What is in it where it has no name, and was made here."""
        ...

    async def bind(self, scope: tuple[str, str], app_id: str | None) -> str:
        """Return its id for functions of an app, in a workspace and environment. Raises `OffloadError`.

        The app is None for one that is deployed, whose secrets without a name are sent along with it.
        """
        ...


class ScheduleChoice(Protocol):
    """When a function runs by itself; see `offload.Cron` and `offload.Period`."""

    @property
    def is_schedule(self) -> bool:
        """Whether it is one."""
        ...


class WebChoice(Protocol):
    """How a function answers web requests; see `offload.sdk.web`."""

    @property
    def endpoints(self) -> tuple[tuple[str, Endpoint], ...]:
        """Its endpoints, each with the name of its method; empty for a function."""
        ...

    def resolve_hints(self, owner: object) -> None:
        """Have the type hints of endpoints travel as what they name."""
        ...

    def check(self, max_retries: int, batching: object, schedule: object) -> None:
        """Refuse options that it cannot have. Raises `InvalidError`."""
        ...
