"""The start and the end of an ASGI app: its lifespan events, where it takes them."""

from __future__ import annotations

import asyncio
import contextlib

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from offload.runner.web.asgi import App, Message


class Lifespan:
    """One app between its startup and its shutdown, on the loop that its requests use."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.state: dict[str, object] = {}
        self._events: asyncio.Queue[Message] | None = None
        self._task: asyncio.Task[None] | None = None
        self._answers: asyncio.Queue[Message] | None = None

    async def start(self) -> None:
        """Run the app's startup. Raises `RuntimeError` where the app says that it failed; one that knows none has none."""
        self._events, self._answers = asyncio.Queue(), asyncio.Queue()
        await self._events.put({"type": "lifespan.startup"})
        self._task = asyncio.ensure_future(self._run(self._events, self._answers))
        answer = await self._answers.get()
        if answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(
                f"the app's startup failed: {answer.get('message') or 'see its output'}"
            )

    async def stop(self) -> None:
        """Run the app's shutdown."""
        if self._task is None or self._task.done() or not self._events or not self._answers:
            return
        await self._events.put({"type": "lifespan.shutdown"})
        await self._answers.get()
        await self._task

    async def _run(self, events: asyncio.Queue[Message], answers: asyncio.Queue[Message]) -> None:
        scope: Message = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            # By the specification: an app that raises here takes no such events, and is served all the same.
            with contextlib.suppress(Exception):
                await self._app(scope, events.get, answers.put)
        finally:
            await answers.put({"type": "lifespan.over"})
