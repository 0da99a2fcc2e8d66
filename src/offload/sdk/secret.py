"""Secrets: variables that the containers of functions have, and that nobody else is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from offload.errors import InvalidError
from offload.sdk import dotenv
from offload.sdk.blocking import Work, blocking_class
from offload.sdk.config import read_config
from offload.sdk.ids import new_id
from offload.sdk.image_checks import variables
from offload.sdk.object_reference import PREFIX_OF, Reference
from offload.sdk.objects import NamedObject
from offload.sdk.session import current_client

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from offload.sdk.values import SecretInfo


class Secret(NamedObject):
    """Variables for `secrets=[…]` of a function. Its code reads them in `os.environ`; no request gives them back."""

    kind = "secret"
    ways_to_make = (
        'offload.Secret.from_name("my-secret") for one on the server, or from_dict, from_dotenv or '
        "from_local_environ for one without a name"
    )
    is_secret = True

    _values: dict[str, str] | None = None  # of one without a name
    _required: tuple[str, ...] = ()

    @classmethod
    def from_name(  # type: ignore[override]  # a secret is made with what is in it
        cls,
        name: str,
        *,
        environment_name: str | None = None,
        required_keys: Sequence[str] = (),
    ) -> Self:
        """Return the secret of that name, in the environment of the app that uses it unless another is named.

        Before anything of a function that names it runs, the server says so where it is not there or lacks one of
        `required_keys`.
        """
        if not isinstance(name, str) or not name:
            raise InvalidError("a secret has a name: a text of letters, digits, '_', '.', '-'")
        if isinstance(required_keys, str) or not all(isinstance(k, str) for k in required_keys):
            raise InvalidError(
                'required_keys= is a list of names of variables: write required_keys=["TOKEN"]'
            )
        made = cls._of(Reference(cls.kind, name, environment_name))
        made._required = tuple(required_keys)  # noqa: SLF001  # its own
        return made

    @classmethod
    def from_dict(cls, values: Mapping[str, str]) -> Self:
        """Return a secret without a name, for as long as an app runs and what was spawned from it; or a version is kept."""
        made = cls._of(Reference(cls.kind, create_if_missing=True))
        made._values = dict(variables("from_dict", values))  # noqa: SLF001  # its own
        return made

    @classmethod
    def from_dotenv(cls, path: str | Path = ".env") -> Self:
        """Return a secret without a name of what a `.env` file says. It is read now."""
        return cls.from_dict(dotenv.read(Path(path)))

    @classmethod
    def from_local_environ(cls, names: Iterable[str]) -> Self:
        """Return a secret without a name of these variables of this process, as they are now."""
        wanted = [names] if isinstance(names, str) else list(names)
        missing = [name for name in wanted if name not in os.environ]  # noqa: TID251  # what it is for
        if missing:
            raise InvalidError(
                f"there is no variable {', '.join(missing)} here: set it before this program starts"
            )
        return cls.from_dict({name: os.environ[name] for name in wanted})  # noqa: TID251  # as above

    @classmethod
    def ephemeral(cls, **_: object) -> Self:
        """Refuse: a secret without a name is made of what is in it."""
        raise InvalidError(
            'write offload.Secret.from_dict({"TOKEN": …}) for a secret without a name'
        )

    @blocking_class
    def create(
        cls: type[Secret],
        name: str,
        values: Mapping[str, str],
        *,
        environment_name: str | None = None,
        overwrite: bool = False,
    ) -> Work[SecretInfo, SecretInfo]:
        """Make a secret of that name on the server. With `overwrite` all that is in one of that name is replaced.

        Containers that start after that have the new values; those that run keep theirs.
        """
        checked = dict(variables("values", values))
        putting = current_client().secrets.put(
            _scope(environment_name),
            name,
            new_id(PREFIX_OF[cls.kind]),
            checked,
            may_replace=overwrite,
        )
        return Work(putting, lambda made: made)

    @blocking_class
    def list(  # type: ignore[override]  # with the names of their variables
        cls: type[Secret],
        *,
        environment_name: str | None = None,
    ) -> Work[Sequence[SecretInfo], Sequence[SecretInfo]]:
        """List the secrets by name, each with the names of its variables."""
        listing = current_client().secrets.list(_scope(environment_name))
        return Work(listing, lambda found: found)

    @blocking_class
    def rotate_key(cls: type[Secret]) -> Work[int, int]:
        """Have the server seal every secret with a new key; return how many there are."""
        return Work(current_client().secrets.rotate_key(), lambda count: count)

    async def bind(self, scope: tuple[str, str], app_id: str | None) -> str:
        """Return its id on the server for functions of an app; None: of one that is deployed."""
        reference, requests = self._reference, current_client().secrets
        workspace, environment = scope
        if reference.name:
            found = await requests.find(
                (workspace, reference.environment or environment), reference.name, self._required
            )
            return found.object_id
        if self._values is None:
            raise InvalidError(
                "a secret without a name stays with the program that made it: give one a name with "
                "`offload secret create NAME …`"
            )
        if app_id is None:
            raise InvalidError(
                "a secret without a name is of an app that is run or deployed with it: keep it on the server with "
                "`offload secret create NAME …` (--from-dotenv FILE takes a file), and write Secret.from_name(NAME)"
            )
        own_id = reference.own_id(app_id)
        await requests.put(scope, "", own_id, self._values, app_id=app_id)
        return own_id

    @property
    def own_values(self) -> Mapping[str, str] | None:
        """What is in it where it has no name, and was made here."""
        return self._values

    def __repr__(self) -> str:
        return f"<Secret {self._reference.label}>"

    def __getstate__(self) -> dict[str, object]:
        # No value leaves this process in a pickle.
        reference = Reference(self.kind, self._reference.name, self._reference.environment)
        reference.own_id("")
        return {"reference": reference}


def _scope(environment_name: str | None) -> tuple[str, str]:
    config = read_config()
    return config.workspace, environment_name or config.environment
