"""What functions of an app have besides what they say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from offload.sdk.mount_checks import check_volumes
from offload.sdk.option_checks import check_image, check_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.sdk.option_types import ImageChoice, SecretChoice, VolumeChoice

A = TypeVar("A")


class AppDefaults:
    """Checked where they are written; raises `InvalidError`."""

    def __init__(
        self,
        image: ImageChoice | None,
        secrets: Sequence[SecretChoice],
        volumes: Mapping[str, VolumeChoice],
    ) -> None:
        check_image(image)
        check_secrets(secrets)
        check_volumes(volumes)
        self.image = image
        self._secrets = tuple(secrets)
        self._volumes = dict(volumes)

    def added_to(self, arguments: A) -> A:
        """Return the arguments of a function or a class with these: its image counts, its secrets come last, its volumes cover."""
        given = dict(cast("Mapping[str, object]", arguments))
        if self.image is not None:
            given.setdefault("image", self.image)
        secrets, volumes = given.get("secrets", ()), given.get("volumes", {})
        # What is neither is refused with the others.
        if self._secrets and isinstance(secrets, list | tuple):
            given["secrets"] = (*self._secrets, *secrets)
        if self._volumes and isinstance(volumes, Mapping):
            given["volumes"] = {**self._volumes, **volumes}
        return cast("A", given)
