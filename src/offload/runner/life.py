"""The one instance of a user's class that a container is there for: made, entered, left."""

from __future__ import annotations

import sys

from offload.runner.callee import of_function, of_methods
from offload.sdk.life_cycle import make, roles_of, run_hooks
from offload.sdk.web_marks import endpoint_of

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import Callable

    from offload.runner.callee import Callees, UserFunction
    from offload.runner.web.endpoints import Server
    from offload.sdk.life_cycle import Blueprint
    from offload.sdk.web_marks import Endpoint

    WaitFor = Callable[[object], object]


class Life:
    """An instance that may not be there yet."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._roles = roles_of(blueprint.user_class)
        self._instance: object = None
        self._is_made = False
        self._has_entered = False
        self._servers: dict[str, Server] = {}  # of the methods that are web endpoints
        for name in self._roles.methods:
            endpoint = endpoint_of(getattr(blueprint.user_class, name))
            if endpoint is not None:
                from offload.runner.web.endpoints import preload  # noqa: PLC0415 - few classes have any

                preload(endpoint)

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
        for name in self._roles.methods:
            method: UserFunction = getattr(self._instance, name)
            endpoint = endpoint_of(method)
            if endpoint is not None:
                from offload.runner.web.endpoints import serve  # noqa: PLC0415 - few classes have any

                self._servers[name] = serve(method, endpoint)
        name = self._blueprint.user_class.__name__
        return of_methods(self._instance, name, self._roles.methods, self._servers)

    def enter(self, wait_for: WaitFor) -> None:
        """Run the enter hooks and start what answers requests; whatever user code raises passes through."""
        run_hooks(self._instance, self._roles.enter, wait_for)
        self._has_entered = True
        for server in self._servers.values():
            server.start(wait_for)

    def leave(self, wait_for: WaitFor) -> None:
        """Run the exit hooks of an instance that was entered, once; show what one raises, and go on with the next."""
        if not self._has_entered:
            return
        self._has_entered = False
        of = self._blueprint.user_class.__name__
        for name, server in self._servers.items():
            _show_failure(f"the end of {of}.{name}()", server.stop, wait_for)
        for name in self._roles.exit:
            _show_failure(
                f"the exit hook {of}.{name}()", run_hooks, self._instance, (name,), wait_for
            )


class Site:
    """A function that is a web endpoint: loaded, started, stopped as an instance is."""

    starts_in_template = True  # what its app is made of is imported there
    done_in_template = "importing it"

    def __init__(self, function: UserFunction, endpoint: Endpoint, name: str) -> None:
        self._function = function
        self._endpoint = endpoint
        self._name = name
        self._server: Server | None = None
        self._has_started = False

    def prepare(self) -> None:
        """See `Life`."""
        if self._server is None:
            from offload.runner.web.endpoints import serve  # noqa: PLC0415 - few functions are any

            self._server = serve(self._function, self._endpoint)

    def callees(self) -> Callees:
        """Return what its requests call."""
        self.prepare()
        server: UserFunction = self._server  # type: ignore[assignment]  # by the line above
        return of_function(server, self._name, is_generator=False)

    def enter(self, wait_for: WaitFor) -> None:
        """Start what answers requests; whatever user code raises passes through."""
        if self._server is not None:
            self._server.start(wait_for)
            self._has_started = True

    def leave(self, wait_for: WaitFor) -> None:
        """End what was started, once; show what that raises."""
        if self._server is not None and self._has_started:
            self._has_started = False
            _show_failure(f"the end of {self._name}()", self._server.stop, wait_for)


def _show_failure(what: str, run: Callable[..., object], *args: object) -> None:  # type: ignore[explicit-any]  # whatever it takes
    try:
        run(*args)
    except BaseException:  # noqa: BLE001 - also SystemExit: the container ends anyhow
        import traceback  # noqa: PLC0415 - needed only here

        sys.stderr.write(f"{what} failed:\n{traceback.format_exc()}")


def _wait_alone(awaitable: object) -> object:
    # On a loop that ends with it: one that stayed open would be shared by all forks.
    import asyncio  # noqa: PLC0415 - slow to import, and few hooks are async

    async def wait() -> object:
        return await awaitable  # type: ignore[misc]  # it says that it can be awaited

    return asyncio.run(wait())
