"""Apps and their functions: opened by a caller, alive while somebody is attached."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from offload.control.core.deployments import choose_function
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.events import AppStopped, FunctionRegistered, ScalingChanged
from offload.control.core.model import DEFAULT_ENVIRONMENT, DEFAULT_WORKSPACE
from offload.control.core.objects import Scope, check_environment
from offload.control.ports.records import EndApp, SaveApp, SaveFunction, SaveScaling
from offload.control.services.progress import Progress
from offload.control.services.versions import Versions
from offload.control.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from offload.control.core.dispatch import PoolView
    from offload.control.core.model import Function
    from offload.control.services.archive import Archive
    from offload.control.services.kernel import Kernel
    from offload.control.services.logs import Logs
    from offload.control.services.reading import Reading
    from offload.control.services.views import LogRow, StoredApp

LEASE_SECONDS = 30.0
MAX_WORKSPACE_CHARACTERS = 100
# How long an app's caller is waited for to register a function that a container calls.
WANTED_SECONDS = 10.0
MAX_WANTED = 1_000
MAX_LINGER_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RunningApp:
    """An app whose caller has not gone."""

    app_id: str
    name: str
    scope: Scope
    is_deployed: bool = False  # serves without a caller
    attached: int = 0
    lease: asyncio.TimerHandle | None = None
    functions: dict[str, Function] = field(default_factory=dict)  # by name, without variants
    wanted: dict[str, asyncio.Future[None]] = field(default_factory=dict)  # functions to register
    nudges: set[Callable[[], None]] = field(default_factory=set)  # of those who are attached


@dataclass(frozen=True, slots=True)
class AppUpdate:
    """What an attached caller is shown. `pools` is None where nothing changed."""

    logs: list[LogRow]
    pools: list[PoolView] | None
    wanted: tuple[str, ...] = ()  # functions to register


class Apps:
    """Keeps the running apps; the store keeps them all."""

    def __init__(
        self,
        kernel: Kernel,
        reading: Reading,
        logs: Logs,
        archive: Archive,
        versions: Versions,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._kernel = kernel
        self._reading = reading
        self._logs = logs
        self._archive = archive
        self._versions = versions
        self.lease_seconds = lease_seconds
        self._running: dict[str, RunningApp] = {}
        self.changes = 0  # rises with every change of what `serving` returns
        self._ending: list[Callable[[str], None]] = []

    @property
    def running_total(self) -> int:
        """How many apps have a caller, or one that may still come back within its lease."""
        return sum(not app.is_deployed for app in self._running.values())

    def has_work(self, app_id: str) -> bool:
        """Whether containers of the app may still be started, whether its caller is there or not."""
        return self._versions.keeps(app_id) or bool(
            self._kernel.dispatcher.open_calls().get(app_id)
        )

    async def create(
        self, name: str, app_id: str, workspace: str = "", environment: str = ""
    ) -> str:
        """Open an app and return its id. A repeat under the same id is harmless."""
        if not name.strip():
            raise DomainError(ErrorCode.INVALID, 'An app needs a name: App("my-app").')
        workspace = workspace or DEFAULT_WORKSPACE
        if len(workspace) > MAX_WORKSPACE_CHARACTERS or not workspace.isprintable():
            raise DomainError(
                ErrorCode.INVALID,
                f"{workspace[:80]!r} is no name of a workspace: at most {MAX_WORKSPACE_CHARACTERS} printable characters.",
            )
        environment = environment or DEFAULT_ENVIRONMENT
        check_environment(environment)
        if app_id in self._running:
            return app_id
        if app_id and not app_id.startswith("ap-"):
            raise DomainError(ErrorCode.INVALID, f"App id {app_id!r} does not begin with 'ap-'.")
        journal = self._kernel.journal
        journal.require_working()
        if app_id and await self._reading.get(self._reading.store.app, app_id) is not None:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION, f"App {app_id} is stopped: open one with a new id."
            )
        app_id = app_id or f"ap-{secrets.token_hex(13)}"
        self.adopt(app_id, name, Scope(workspace, environment))
        saved = SaveApp(app_id, name, self._kernel.clock.now(), workspace, environment)
        await journal.durable((saved,))
        return app_id

    def adopt(self, app_id: str, name: str, scope: Scope) -> None:
        """Take in a running app and give its caller a lease to attach in."""
        app = self._running[app_id] = RunningApp(app_id, name, scope)
        self.changes += 1
        self._start_lease(app)

    def serve(self, app_id: str, name: str, scope: Scope) -> None:
        """Take calls for a version of a deployed app, which needs no caller."""
        self._running[app_id] = RunningApp(app_id, name, scope, is_deployed=True)
        self.changes += 1

    def retire(self, app_id: str, *, cancel: bool, reason: str) -> None:
        """Take no more calls for a version, which ends what it began unless `cancel`; it may serve again."""
        self._running.pop(app_id, None)
        self.changes += 1
        self._kernel.apply(AppStopped(app_id, cancel, reason, keeps_attached=not cancel))
        self._kernel.journal.after_commit(lambda: self._logs.end_app(app_id))

    def on_end(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called with the id of each app that ends."""
        self._ending.append(tell)

    def is_running(self, app_id: str) -> bool:
        """Whether the app takes new calls."""
        return app_id in self._running

    def has_caller(self, app_id: str) -> bool:
        """Whether the app runs until its caller goes, and is no version of a deployed one."""
        return self.is_running(app_id) and not self._running[app_id].is_deployed

    def serving(self) -> Iterator[Function]:
        """Iterate over the functions that take calls by their name: first those of deployed apps, then by age."""
        for app in sorted(self._running.values(), key=lambda app: not app.is_deployed):
            if not app.is_deployed:
                yield from app.functions.values()
                continue
            held = self._versions.of_app(app.app_id)
            ids = [function_id for _, function_id in held[1].functions] if held is not None else ()
            yield from filter(None, map(self._kernel.dispatcher.function, ids))

    def has_worker_on(self, host_id: str) -> bool:
        """Whether a worker of this machine takes work now."""
        return self._kernel.dispatcher.has_worker_on(host_id)

    async def register(
        self, app_id: str, functions: list[Function], variants: Collection[str] = ()
    ) -> None:
        """Make functions callable, once they are on disk; those of `variants` (ids) are not found by their name."""
        app = await self.require_running(app_id)
        self._kernel.journal.require_working()
        named = [
            replace(
                function,
                app_name=app.name,
                workspace=app.scope.workspace,
                environment=app.scope.environment,
            )
            for function in functions
        ]
        for function in named:
            check_function(function)
        for function in named:
            self._kernel.apply(FunctionRegistered(function))
        await self._kernel.journal.durable([SaveFunction(function) for function in named])
        self.changes += 1
        for function in named:
            if function.function_id not in variants:
                app.functions[function.name] = function
                waiting = app.wanted.pop(function.name, None)
                if waiting is not None:
                    waiting.set_result(None)

    async def find_function(self, app_id: str, app_name: str, name: str) -> Function:
        """Return the function of that name; ask the app's caller for it where it is not there yet.

        A version of a deployed app has all its functions, and calls them also when another version serves.
        """
        held = self._versions.of_app(app_id)
        if held is not None:
            function_id = choose_function(*held, name)
            return await self._archive.require_function(function_id)
        app = await self.require_running(app_id)
        if app_name and app_name != app.name:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"Function {name[:100]!r} is of app {app_name[:100]!r}, and this container of app {app.name!r}: "
                "its code can call functions of its own app.",
            )
        if name not in app.functions:
            if len(app.wanted) >= MAX_WANTED:
                raise DomainError(
                    ErrorCode.RESOURCE_EXHAUSTED,
                    f"App {app.name!r} is asked for too many functions at once: try again.",
                )
            loop = asyncio.get_running_loop()
            waiting = app.wanted.setdefault(name, loop.create_future())
            for nudge in app.nudges:
                nudge()
            await asyncio.wait({waiting}, timeout=WANTED_SECONDS)
            if app.wanted.get(name) is waiting:
                del app.wanted[name]
        found = app.functions.get(name)
        if found is None:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"App {app.name!r} has no function {name[:100]!r} that its caller could register: is it decorated with "
                "@app.function() of the same app, and does the program that runs the app still run?",
            )
        return found

    async def change_scaling(self, function_id: str, **changes: float) -> None:
        """Give a function of a running app other bounds of its containers, once they are on disk."""
        scaling = self._kernel.dispatcher.scaling(function_id)
        function = self._kernel.dispatcher.function(function_id)
        if scaling is None or function is None:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"Function {function_id!r} has no running app: start the app again.",
            )
        changed = replace(scaling, **changes)  # type: ignore[arg-type]
        check_function(replace(function, scaling=changed))
        self._kernel.journal.require_working()
        self._kernel.apply(ScalingChanged(function_id, changed))
        await self._kernel.journal.durable((SaveScaling(function_id, changed),))

    async def require_running(self, app_id: str) -> RunningApp:
        """Return a running app, or raise what says why there is none."""
        app = self._running.get(app_id)
        if app is not None:
            return app
        stored = await self._reading.get(self._reading.store.app, app_id)
        if stored is None:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"There is no app {app_id!r} on this server: see `offload status`, or run it again.",
            )
        raise self._versions.why_not_serving(stored.app_id) or DomainError(
            ErrorCode.FAILED_PRECONDITION,
            f"App {stored.app_id} ({stored.name!r}) is stopped: enter `app.run()` again.",
        )

    async def attach(self, app_id: str, after_log_seq: int) -> AsyncIterator[AppUpdate]:
        """Hold the app alive while iterated; yield its log lines and, when they change, its pools."""
        app = await self.require_running(app_id)
        app.attached += 1
        if app.lease is not None:
            app.lease.cancel()
            app.lease = None
        follower = self._logs.follow("", app_id, after_log_seq)
        progress = Progress(self._kernel, app_id, follower.nudge)
        asked: set[str] = set()
        app.nudges.add(follower.nudge)
        try:
            while (rows := await follower.next()) is not None:
                pools = progress.take()
                wanted = tuple(app.wanted.keys() - asked)
                asked = set(app.wanted)
                if rows or wanted or pools is not None:
                    yield AppUpdate(rows, pools, wanted)
        finally:
            app.nudges.discard(follower.nudge)
            progress.close()
            follower.close()
            app.attached -= 1
            if not (app.attached or app.is_deployed) and app.app_id in self._running:
                self._start_lease(app)

    async def stop(
        self, app_id: str, cancel: bool, reason: str, linger_seconds: float = 0.0
    ) -> None:
        """End the app: attached calls are cancelled, with `cancel` all. A stopped app stays so. See `Logs.end_app`."""
        held = self._versions.of_app(app_id)
        if held is not None:
            raise DomainError(
                ErrorCode.FAILED_PRECONDITION,
                f"App {app_id} is a version of the deployed app {held[0].key}: "
                f"`offload app stop {held[0].key.name}` stops that.",
            )
        app = self._running.pop(app_id, None)
        if app is None:
            if await self._reading.get(self._reading.store.app, app_id) is None:
                await self.require_running(app_id)
            return
        linger = min(linger_seconds, MAX_LINGER_SECONDS)
        self._end(app, cancel, reason or "its app was stopped", linger)
        await self._kernel.journal.flush()

    async def list(self, limit: int) -> list[tuple[StoredApp, str, int]]:
        """List apps, newest first, each with its state and how many of its calls are open."""
        stored = await self._reading.get(self._reading.store.apps, limit)
        open_calls = self._kernel.dispatcher.open_calls()
        return [(app, self._state(app), open_calls.get(app.app_id, 0)) for app in stored]

    def close(self) -> None:
        """Stop all lease timers. Idempotent."""
        for app in self._running.values():
            if app.lease is not None:
                app.lease.cancel()

    def _state(self, app: StoredApp) -> str:
        held = self._versions.of_app(app.app_id)
        if held is not None:
            return "serving" if held[0].serving == held[1].number else "replaced"
        return "stopped" if app.stopped_at else "running"

    def _start_lease(self, app: RunningApp) -> None:
        loop = asyncio.get_running_loop()
        app.lease = loop.call_later(self.lease_seconds, self._expire, app)

    def _expire(self, app: RunningApp) -> None:
        if app.attached or self._running.get(app.app_id) is not app:
            return
        del self._running[app.app_id]
        log_event(_log, logging.INFO, "app_lease_expired", app_id=app.app_id)
        self._end(app, cancel=False, reason="its caller went away")

    def _end(self, app: RunningApp, cancel: bool, reason: str, linger: float = 0.0) -> None:
        self.changes += 1
        if app.lease is not None:
            app.lease.cancel()
        self._kernel.journal.write((EndApp(app.app_id, self._kernel.clock.now()),))
        self._kernel.apply(AppStopped(app.app_id, cancel, reason))
        for tell in self._ending:
            tell(app.app_id)
        self._kernel.journal.after_commit(lambda: self._logs.end_app(app.app_id, linger))


def check_function(function: Function) -> None:
    """Raise `DomainError` for what no function can be."""
    name = function.name
    if not name.strip():
        raise DomainError(ErrorCode.INVALID, "A function needs a name.")
    needs, scaling = function.needs, function.scaling
    wrong = {
        "cpu must be above 0": needs.cpu_milli <= 0,
        "memory must be above 0 MiB": needs.memory_mib <= 0,
        "timeout must be above 0 seconds": not function.timeout_seconds > 0,
        "startup_timeout must be above 0 seconds": not function.startup_timeout_seconds > 0,
        "scaledown_window must not be negative": not scaling.scaledown_window_seconds >= 0,
        "min_containers must not be larger than max_containers": (
            0 < scaling.max_containers < scaling.min_containers
        ),
        "the delays of retries must not be negative": not (
            function.retries.initial_delay_seconds >= 0
            and function.retries.max_delay_seconds >= 0
            and function.retries.backoff_coefficient >= 1
        ),
        "its code is empty": not function.body,
    }
    for text, is_wrong in wrong.items():
        if is_wrong:
            raise DomainError(ErrorCode.INVALID, f"Function {name!r}: {text}.")
