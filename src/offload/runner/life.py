"""The one instance of a user's class that a container is there for: made, entered, left."""

from __future__ import annotations

import sys

from offload.runner.callee import of_methods
from offload.sdk.life_cycle import make, roles_of, run_hooks

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable

    from offload.runner.callee import Callees
    from offload.sdk.life_cycle import Blueprint

    WaitFor = Callable[[object], object]


class Life:
    """An instance that may not be there yet."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._roles = roles_of(blueprint.user_class)
        self._instance: object = None
        self._is_made = False
        self._has_entered = False

    @property
    def starts_in_template(self) -> bool:
        """Whether the instance is made before its container is forked."""
        return self._blueprint.snapshot

    @property
    def done_in_template(self) -> str:
        """What of user code runs before a container is forked."""
        return "importing it, or a snap hook," if self._blueprint.snapshot else "importing it"

    def prepare(self) -> None:
        """Make the instance and run its snap hooks, where that is not done; whatever user code raises passes through."""
        if not self._is_made:
            instance = make(self._blueprint)
            run_hooks(instance, self._roles.snap, _wait_alone)
            self._instance = instance
            self._is_made = True

    def callees(self) -> Callees:
        """Return the instance's methods."""
        return of_methods(self._instance, self._blueprint.user_class.__name__, self._roles.methods)

    def enter(self, wait_for: WaitFor) -> None:
        """Run the enter hooks; whatever they raise passes through."""
        run_hooks(self._instance, self._roles.enter, wait_for)
        self._has_entered = True

    def leave(self, wait_for: WaitFor) -> None:
        """Run the exit hooks of an instance that was entered, once; show what one raises, and go on with the next."""
        names = self._roles.exit if self._has_entered else ()
        self._has_entered = False
        for name in names:
            try:
                run_hooks(self._instance, (name,), wait_for)
            except BaseException:  # noqa: BLE001, PERF203 - also SystemExit: the container ends anyhow
                import traceback  # noqa: PLC0415 - needed only here

                of = self._blueprint.user_class.__name__
                sys.stderr.write(f"the exit hook {of}.{name}() failed:\n{traceback.format_exc()}")


def _wait_alone(awaitable: object) -> object:
    # On a loop that ends with it: one that stayed open would be shared by all forks.
    import asyncio  # noqa: PLC0415 - slow to import, and few hooks are async

    async def wait() -> object:
        return await awaitable  # type: ignore[misc]  # it says that it can be awaited

    return asyncio.run(wait())
