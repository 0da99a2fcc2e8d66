"""Every operation is written once, as `Work`; here it becomes a blocking call with an async twin `.aio`.

The connection lives on one event loop in a background thread. A work has a part that runs there (a coroutine) and a
part that runs with the caller (`finish`), so that unpickling a user's objects neither blocks the connection nor runs
user code in a thread the user does not know.

The hand-over is one lock and one `call_soon_threadsafe`: `concurrent.futures` costs three times as much, and this is
in the path of every `.remote()`.

Python tells a thread that waits for a lock of a signal only where the kernel interrupts the waiting. A signal that comes
in the moment before, or that the kernel gives to another thread, would be noticed when the lock is free: a Ctrl-C is then
lost. So nobody waits for longer than `LOOK_SECONDS` at a time.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from offload.errors import OffloadError
from offload.sdk.traces import hide_own_frames

if TYPE_CHECKING:
    import asyncio
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Coroutine,
        Iterable,
        Iterator,
    )

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
V = TypeVar("V", covariant=True)  # noqa: PLC0105  # what an exchange comes to
W = TypeVar("W")

LOOK_SECONDS = 0.1  # below what a person notices after Ctrl-C, and no work for the processor


class Work(Generic[W, T]):
    """Something to do on the background loop, and what to make of its result in the caller's thread."""

    __slots__ = ("_coroutine", "finish")

    def __init__(self, coroutine: Coroutine[object, object, W], finish: Callable[[W], T]) -> None:
        self._coroutine = coroutine
        self.finish = finish

    def start(self) -> Coroutine[object, object, W]:
        """Return the part for the background loop. Once."""
        return self._coroutine

    def wait(self) -> W:
        """Do the part for the background loop; block until it ends."""
        return run(self._coroutine)


class Exchange(Protocol[R, V]):
    """One request and its reply, with nothing but the hand-over between the caller's thread and the connection."""

    def send(self, tell: Callable[[R], None]) -> Callable[[], None] | None:
        """Send the request, from the caller's thread; have `tell` called with the reply on the background loop.

        Returns how to give it up on that loop; None where it cannot be sent now.
        """
        ...

    def read(self, reply: R) -> V | None:
        """Return, in the caller's thread, what the reply says; None where that takes more than reading."""
        ...

    def in_full(self, reply: R | None) -> Coroutine[object, object, V]:
        """Do what is left on the background loop: after an unreadable reply, or all of it where nothing was sent."""
        ...


class ExchangeWork(Work[W, T]):
    """Work that nearly always is one exchange; it has a coroutine only where it is not, or the caller is async."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange[R, W], finish: Callable[[W], T]) -> None:
        self._exchange: Exchange[object, W] = exchange  # type: ignore[assignment]  # R stays inside
        self.finish = finish

    def start(self) -> Coroutine[object, object, W]:
        """See `Work`."""
        return self._exchange.in_full(None)

    def wait(self) -> W:
        """See `Work`."""
        exchange = self._exchange
        mailbox = _Mailbox()
        give_up = exchange.send(mailbox.put)
        if give_up is None:
            return run(exchange.in_full(None))
        try:
            mailbox.filled.acquire()
        except BaseException:
            background_loop().call_soon_threadsafe(give_up)
            raise
        result = exchange.read(mailbox.reply)
        return run(exchange.in_full(mailbox.reply)) if result is None else result


class _Mailbox:
    """Where the caller's thread waits for the reply of its exchange."""

    __slots__ = ("filled", "reply")

    def __init__(self) -> None:
        self.reply: object = None
        self.filled = threading.Lock()
        self.filled.acquire()

    def put(self, reply: object) -> None:
        self.reply = reply
        self.filled.release()


class StreamWork(Generic[W, T]):
    """A stream that the background loop receives in batches; `finish` makes each batch the caller's items."""

    __slots__ = ("finish", "open")

    def __init__(
        self,
        open_stream: Callable[[asyncio.AbstractEventLoop | None], AsyncGenerator[list[W], None]],
        finish: Callable[[list[W]], Iterable[T]],
    ) -> None:
        self.open = open_stream  # takes the caller's own loop, where it has one running
        self.finish = finish


class _Background:
    """The loop and its thread."""

    def __init__(self) -> None:
        try:
            from uvloop import new_event_loop
        except ImportError:  # in a container whose image does not have it
            from asyncio import new_event_loop  # type: ignore[assignment]
        self.loop: asyncio.AbstractEventLoop = new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="offload", daemon=True)
        self.thread.start()


_background: _Background | None = None
_starting = threading.Lock()


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process's connection, started on first use."""
    global _background  # noqa: PLW0603  # one per process; a forked child starts its own
    if _background is None:
        with _starting:
            if _background is None:
                _background = _Background()
    return _background.loop


def _forget_background() -> None:
    global _background, _starting  # noqa: PLW0603  # the parent's thread does not exist in a forked child
    _background = None
    _starting = threading.Lock()


os.register_at_fork(after_in_child=_forget_background)


class _Handover(Generic[T]):
    """One coroutine on its way through the loop while its caller's thread waits."""

    __slots__ = ("_coroutine", "_loop", "_task", "done", "error", "value")

    def __init__(
        self, coroutine: Coroutine[object, object, T], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self.done = threading.Lock()
        self.done.acquire()
        self.value: list[T] = []
        self.error: BaseException | None = None

    def start(self) -> None:
        self._task = self._loop.create_task(self._drive())

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            # Cancelled before its first step, the task has never come to the coroutine.
            self._task.add_done_callback(lambda _: self._coroutine.close())

    async def _drive(self) -> None:
        try:
            self.value.append(await self._coroutine)
        except BaseException as error:  # noqa: BLE001  # it is raised in the thread that waits
            self.error = error
        finally:
            self.done.release()


def run(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine on the background loop; block until it ends. An interrupt cancels it."""
    loop = background_loop()
    handover = _Handover(coroutine, loop)
    try:
        loop.call_soon_threadsafe(handover.start)
        while not handover.done.acquire(timeout=LOOK_SECONDS):
            pass
    except BaseException:
        loop.call_soon_threadsafe(handover.cancel)
        raise
    if handover.error is not None:
        raise _own(handover.error)
    return handover.value[0]


async def run_aio(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine on the background loop; wait for it from any other loop. Cancelling cancels it."""
    import asyncio

    future = asyncio.run_coroutine_threadsafe(coroutine, background_loop())
    try:
        return await asyncio.wrap_future(future)
    except OffloadError as error:
        raise _own(error) from error.__cause__


def _own(error: BaseException) -> BaseException:
    """Drop the frames of the background thread from errors that are meant for the user."""
    return error.with_traceback(None) if isinstance(error, OffloadError) else error


class Blocking(Generic[P, T]):
    """Call it and wait, or await its `.aio`."""

    __slots__ = ("_prepare",)

    def __init__(self, prepare: Callable[P, Work[W, T]]) -> None:
        self._prepare: Callable[P, Work[object, T]] = prepare  # type: ignore[assignment]  # W stays inside

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it and wait."""
        try:
            work = self._prepare(*args, **kwargs)
            return work.finish(work.wait())
        except BaseException as error:
            hide_own_frames(error)
            raise

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the same without blocking the running event loop."""
        try:
            work = self._prepare(*args, **kwargs)
            return work.finish(await run_aio(work.start()))
        except BaseException as error:
            hide_own_frames(error)
            raise


class BlockingStream(Generic[P, T]):
    """Iterate over it, or over its `.aio` with `async for`. Leaving early cancels what is left."""

    __slots__ = ("_prepare",)

    def __init__(self, prepare: Callable[P, StreamWork[W, T]]) -> None:
        self._prepare: Callable[P, StreamWork[object, T]] = prepare  # type: ignore[assignment]  # W stays inside

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        """Begin with the first `next`."""
        try:
            return _iterate(self._prepare(*args, **kwargs))
        except OffloadError as error:
            hide_own_frames(error)
            raise

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        """Do the same without blocking the running event loop."""
        try:
            return _iterate_aio(self._prepare(*args, **kwargs))
        except OffloadError as error:
            hide_own_frames(error)
            raise


def _iterate(work: StreamWork[object, T]) -> Iterator[T]:
    batches = work.open(None)
    try:
        while (batch := run(_next_batch(batches))) is not None:
            yield from work.finish(batch)
    except BaseException as error:
        hide_own_frames(error)
        raise
    finally:
        run(_close(batches))


async def _iterate_aio(work: StreamWork[object, T]) -> AsyncIterator[T]:
    import asyncio

    batches = work.open(asyncio.get_running_loop())
    try:
        while (batch := await run_aio(_next_batch(batches))) is not None:
            for item in work.finish(batch):
                yield item
    except BaseException as error:
        hide_own_frames(error)
        raise
    finally:
        await run_aio(_close(batches))


async def _next_batch(batches: AsyncGenerator[list[W], None]) -> list[W] | None:
    return await anext(batches, None)


async def _close(batches: AsyncGenerator[list[W], None]) -> None:
    import contextlib

    # After an interrupt the abandoned step may still be unwinding; that closes the generator as well.
    with contextlib.suppress(RuntimeError):
        await batches.aclose()


class blocking(Generic[S, P, T]):  # noqa: N801  # used as a decorator
    """Make a method that returns `Work` a blocking one with an async twin."""

    def __init__(self, method: Callable[Concatenate[S, P], Work[W, T]]) -> None:
        self._method: Callable[Concatenate[S, P], Work[object, T]] = method  # type: ignore[assignment]
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> blocking[S, P, T]: ...
    @overload
    def __get__(self, instance: S, owner: type) -> Blocking[P, T]: ...
    def __get__(self, instance: S | None, owner: type) -> blocking[S, P, T] | Blocking[P, T]:
        return self if instance is None else Blocking(partial(self._method, instance))


class blocking_class(Generic[S, P, T]):  # noqa: N801  # used as a decorator
    """Make a method of a class that returns `Work` a blocking one with an async twin."""

    def __init__(self, method: Callable[Concatenate[type[S], P], Work[W, T]]) -> None:
        self._method: Callable[Concatenate[type[S], P], Work[object, T]] = method  # type: ignore[assignment]
        self.__doc__ = method.__doc__

    def __get__(self, instance: S | None, owner: type[S]) -> Blocking[P, T]:
        return Blocking(partial(self._method, owner))


class blocking_stream(Generic[S, P, T]):  # noqa: N801  # used as a decorator
    """Make a method that returns `StreamWork` an iterator with an async twin."""

    def __init__(self, method: Callable[Concatenate[S, P], StreamWork[W, T]]) -> None:
        self._method: Callable[Concatenate[S, P], StreamWork[object, T]] = method  # type: ignore[assignment]
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> blocking_stream[S, P, T]: ...
    @overload
    def __get__(self, instance: S, owner: type) -> BlockingStream[P, T]: ...
    def __get__(
        self, instance: S | None, owner: type
    ) -> blocking_stream[S, P, T] | BlockingStream[P, T]:
        return self if instance is None else BlockingStream(partial(self._method, instance))
