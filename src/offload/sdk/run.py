"""One run of an app: what the server knows of it while its `with` block is open."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from offload.errors import OffloadError
from offload.sdk.cancelling import Cancelling
from offload.sdk.client import DirectRun, Registration, Submission
from offload.sdk.client.refusals import SupersededError
from offload.sdk.config import read_config
from offload.sdk.identity import whoever_runs_this
from offload.sdk.ids import new_id
from offload.sdk.map_call import MapCall
from offload.sdk.output import ToughOutput
from offload.sdk.registration import registration_of, with_secrets
from offload.sdk.session import current_client, mend_stack
from offload.sdk.values import Ended
from offload.sdk.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence

    from offload.sdk.call_options import CallOptions
    from offload.sdk.client import Reply
    from offload.sdk.map_call import Arguments
    from offload.sdk.registration import Definition
    from offload.sdk.values import Output, Scaling

# How long the end of a run waits for the last lines that its functions printed.
DRAIN_SECONDS = 1.0

# And for what exit hooks print, which have so much time in an idle container.
LINGER_SECONDS = 5.0

# How often a running program looks whether something keeps it waiting.
WATCH_SECONDS = 2.0


class Run(Protocol):
    """What a function asks of the run that it belongs to."""

    def cancel_later(self, call_id: str) -> None:
        """Cancel a call that nobody waits for any more, without waiting for that."""
        ...


class RegisteredFunction:
    """A function in one run; it is sent to the server when it is first needed."""

    def __init__(self, run: Run, find_id: Callable[[], Coroutine[object, object, str]]) -> None:
        self._run = run
        self._find_id = find_id  # on the server, for good
        self._registering: asyncio.Task[str] | None = None
        self._id: str | None = None

    async def function_id(self) -> str:
        """Return the server's id for the function."""
        if self._id is not None:
            return self._id
        if self._registering is None:
            self._registering = asyncio.get_running_loop().create_task(self._register())
        return await asyncio.shield(self._registering)

    async def send_again(self) -> None:
        """Register it although it may be: the server has forgotten that, or looks for it by its name."""
        self._id = await self._find_id()

    def direct(self, call_id: str, args: bytes) -> DirectCall | None:
        """Return the call of one input, without options, as an exchange; None where that takes more than one request."""
        if self._id is None or not DirectRun.fits(args):
            return None
        return DirectCall(self, call_id, args, DirectRun(call_id, self._id, args))

    async def call(
        self, call_id: str, args: bytes, options: CallOptions | None, *, is_repeat: bool = False
    ) -> Ended:
        """Run one input; where the caller stops waiting, cancel it, unless others may wait for the same call."""
        client = current_client()
        function_id = self._id or await self.function_id()
        try:
            return await client.run(call_id, function_id, args, options, is_repeat=is_repeat)
        except asyncio.CancelledError:
            if call_id:
                self._run.cancel_later(call_id)
            raise

    def cancel_later(self, call_id: str) -> None:
        """See `Cancelling`."""
        self._run.cancel_later(call_id)

    async def submit(
        self, call_id: str, args: bytes, options: CallOptions | None, *, kind: str, attached: bool
    ) -> str:
        """Open a call with one input; return its id once it is on disk."""
        return await self.open_call(
            Submission(
                call_id, "", kind, [(0, args)], closed=True, attached=attached, options=options
            )
        )

    async def open_call(self, opening: Submission) -> str:
        """Open a call of this function, which the submission need not name; return its id once it is on disk."""
        function_id = await self.function_id()
        return await current_client().submit(replace(opening, function_id=function_id))

    def forget(self) -> None:
        """Look the function up again before the next call; in a run of an app there is nothing to look up."""

    async def follow(
        self, call_id: str, args: bytes, options: CallOptions | None
    ) -> AsyncGenerator[list[object], None]:
        """Run a generator; yield its items' bytes and at last how it ended.

        Leaving early cancels it, unless others may follow the same call.
        """
        is_ours = bool(call_id)
        call_id = await self.submit(call_id, args, options, kind="generator", attached=is_ours)
        is_complete = False
        try:
            async for batch in current_client().items(call_id):
                is_complete = bool(batch) and isinstance(batch[-1], Ended)
                yield list(batch)
        finally:
            if is_ours and not is_complete:
                self._run.cancel_later(call_id)

    async def drain(
        self,
        inputs: Callable[[], Iterator[Arguments]],
        options: CallOptions | None,
        *,
        stop_at_failure: bool,
    ) -> tuple[str, Ended | None]:
        """Run a map and forget its results; return its id and the first input that failed, if that ended it."""
        call = MapCall(self, options)
        batches = call.batches(inputs())
        try:
            async for batch in batches:
                for ended in batch:
                    call.release(ended)
                    if stop_at_failure and ended.failure is not None:
                        return call.call_id, ended
        finally:
            await batches.aclose()
        return call.call_id, None

    async def submit_map(
        self, inputs: Callable[[], Iterator[Arguments]], options: CallOptions | None
    ) -> str:
        """Submit a map for later; return its id once all of it is on disk."""
        return await MapCall(self, options).submit_all(inputs())

    async def scale(self, scaling: Scaling) -> None:
        """Change how many containers the function may have."""
        await current_client().update_autoscaler(await self.function_id(), scaling)

    async def _register(self) -> str:
        try:
            self._id = await self._find_id()
        finally:
            self._registering = None
        return self._id


class DirectCall:
    """The call of one input in one exchange with the server. See `blocking.Exchange`."""

    __slots__ = ("_args", "_call_id", "_function", "_run")

    def __init__(
        self, function: RegisteredFunction, call_id: str, args: bytes, run: DirectRun
    ) -> None:
        self._function = function
        self._call_id = call_id
        self._args = args
        self._run = run

    def send(self, tell: Callable[[Reply], None]) -> Callable[[], None] | None:
        """See `Exchange`."""
        give_up = current_client().ask(self._run, tell)
        return None if give_up is None else partial(self._give_up, give_up)

    def read(self, reply: Reply) -> Ended | None:
        """See `Exchange`."""
        return self._run.read(reply)

    async def in_full(self, reply: Reply | None) -> Ended:
        """See `Exchange`."""
        try:
            if reply is not None and (ended := await current_client().settle(reply)) is not None:
                return ended
        except SupersededError:
            self._function.forget()
            reply = None
        return await self._function.call(
            self._call_id, self._args, None, is_repeat=reply is not None
        )

    def _give_up(self, give_up: Callable[[], None]) -> None:
        give_up()
        self._function.cancel_later(self._call_id)


class AppRun(Cancelling):
    """An ephemeral app on the server."""

    def __init__(
        self,
        name: str,
        output: Output,
        workspace: str | None = None,
        environment: str | None = None,
        definitions: Mapping[str, Definition] | None = None,
    ) -> None:
        super().__init__()
        self.app_id = new_id("ap-")
        self._name = name
        self._workspace = workspace
        self._environment = environment
        self._scope = ("", "")  # workspace and environment, once it is open
        self._output = Waiting(ToughOutput(output))
        # Where the caller's environment can be had, no function gets another because that worker is busy.
        self._is_served_here = True
        self._functions: dict[Definition, RegisteredFunction] = {}
        self._definitions = definitions if definitions is not None else {}  # the app's, by name
        self._has_exit_hooks = False  # one of the classes that are registered
        self._attached: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def register(self, function: Definition) -> RegisteredFunction:
        """Return a function in this run; pickle it where it is new."""
        known = self._functions.get(function)
        if known is None:
            is_variant = self._find(function.name) not in (None, function)
            registration = replace(
                registration_of(function, is_served_here=self._is_served_here),
                is_variant=is_variant,
            )
            self._has_exit_hooks |= getattr(function, "has_exit_hooks", False)
            send = partial(self._send, registration)
            known = self._functions[function] = RegisteredFunction(self, send)
        return known

    async def start(self) -> None:
        """Open the app and begin to receive its output."""
        client = current_client()
        config = read_config()
        self._scope = (
            self._workspace or config.workspace,
            self._environment or config.environment,
        )
        self._is_served_here = await client.create_app(self._name, self.app_id, *self._scope)
        attach = client.attach(self.app_id, self._output, self._provide)
        self._attached = asyncio.get_running_loop().create_task(attach)
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        # Requests meet the same trouble and tell the user; this task's exception is not a second report.
        self._attached.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def prestart(self) -> None:
        """Register every function that is known by now, so that containers can start before the first call."""
        for function in tuple(self._functions.values()):
            await function.function_id()

    async def stop(self, *, cancel: bool, reason: str) -> None:
        """End the app, after the last lines of its output."""
        if self._watching is not None:
            self._watching.cancel()
        await self.settle(DRAIN_SECONDS)
        try:
            linger = LINGER_SECONDS if self._has_exit_hooks else 0.0
            await current_client().stop_app(
                self.app_id, cancel=cancel, reason=reason, linger_seconds=linger
            )
            if self._attached is not None:
                await asyncio.wait({self._attached}, timeout=DRAIN_SECONDS + linger)
        finally:
            if self._attached is not None:
                self._attached.cancel()

    async def _send(self, registration: Registration) -> str:
        if registration.options.secrets:
            registration = await with_secrets(registration, self._scope, self.app_id)
        return await current_client().register(self.app_id, registration)

    def _provide(self, names: Sequence[str]) -> None:
        """Register functions that are called from inside a container, as far as the app has them."""
        for name in names:
            definition = self._find(name)
            if definition is not None:
                self.in_background(self._register_again(definition))

    def _find(self, name: str) -> Definition | None:
        definition = self._definitions.get(name)
        if definition is None:  # containers of a class have its parameters in their name
            owner = self._definitions.get(name.partition("(")[0])
            find: Callable[[str], Definition | None] | None = getattr(owner, "named", None)
            definition = find(name) if find is not None else None
        return definition

    async def _register_again(self, definition: Definition) -> None:
        # Whoever waits for it is told by the server that it has not come; the user's objects are pickled beside the loop.
        with contextlib.suppress(OffloadError, TypeError):
            loop = asyncio.get_running_loop()
            function = await loop.run_in_executor(None, self.register, definition)
            await function.send_again()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        is_mendable = True
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._output.look(loop.time())
            try:
                if is_mendable:
                    await mend_stack()
            except OffloadError as error:
                is_mendable = False  # another start would fail the same way, and the next program tries it anyhow
                self._output.say(str(error))


def reason_of_end(error: BaseException | None) -> str:
    """Say why a run ended, for whoever looks at its calls later."""
    who = whoever_runs_this()
    if isinstance(error, KeyboardInterrupt):
        return f"cancelled by {who}, with Ctrl-C"
    return f"the app's run by {who} ended" + (f" with {type(error).__name__}" if error else "")


async def start_run(opened: AppRun) -> None:
    """Open an app on the server, with the containers that are to be ready."""
    await opened.start()
    await opened.prestart()


async def stop_run(closed: AppRun, error: BaseException | None) -> None:
    """End an app's run, which this error ended if any."""
    # An interrupted program wants nothing left running; one that failed keeps what it spawned on purpose.
    interrupted = error is not None and not isinstance(error, Exception)
    await closed.stop(cancel=interrupted, reason=reason_of_end(error))
