"""What the simulated callers do: submit calls alone and in graphs, add inputs, repeat themselves, cancel."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from tests.simulation.store import StoredCall

from offload.control.core.events import AppStopped, CallCancelled, CallSubmitted, InputsAdded
from offload.control.core.model import Call, CallKind

if TYPE_CHECKING:
    from tests.simulation.cluster import Simulation


class Clients:
    """All callers of one simulation."""

    def __init__(self, world: Simulation) -> None:
        self._world = world
        self._names = itertools.count()
        self._late = random.Random(world.seed)  # noqa: S311 a seeded run is the point

    def plan(self, seconds: float) -> None:
        """Spread submissions over the time of faults."""
        world = self._world
        for _ in range(world.rng.randint(2, 8)):
            world.after(world.rng.uniform(0, seconds), self.submit)

    def end(self) -> None:
        """Say the last word about every open call."""
        for stored in list(self._world.store.open_calls()):
            self._add(stored)

    def submit(self) -> None:
        """Submit a call, and again, as one does who got no answer."""
        world = self._world
        rng = world.rng
        stored = self._draw()
        call = stored.call
        count = 1 if call.kind is CallKind.SINGLE else rng.choice((0, 3, 20, 60, 200))
        stored.closed = call.kind is CallKind.SINGLE or rng.random() < 0.5
        stored.known.add(0, count)
        world.store.calls[call.call_id] = stored
        event = CallSubmitted(call, (range(count),), stored.closed, self._ended(call))
        if not world.apply(event):
            del world.store.calls[call.call_id]
            return
        if world.server.knows_call(call.call_id):
            world.apply(event)
        if not stored.closed:
            world.after(rng.uniform(0, 20), lambda: self._add(stored))
        if rng.random() < 0.15:
            world.after(rng.uniform(0, 20), lambda: self._cancel(stored))

    def stop_app(self, *, cancel: bool = False) -> None:
        """Stop an app, with or without all of its calls."""
        world = self._world
        app_id = world.rng.choice(world.functions).app_id
        world.stopped_apps.add(app_id)
        world.apply(AppStopped(app_id, cancel=cancel or world.rng.random() < 0.3, reason="stopped"))

    def _draw(self) -> StoredCall:
        world = self._world
        rng = world.rng
        function = rng.choice(world.functions)
        others = [stored.call.call_id for stored in world.store.open_calls()]
        if not others or rng.random() < 0.3:
            others = list(world.store.calls)
        count = min(len(others), rng.choice((0, 0, 0, 1, 2)))
        deadline = world.server_now + rng.uniform(0, 40) if rng.random() < 0.3 else 0.0
        late = self._late
        not_before = world.server_now + late.uniform(0, 20) if late.random() < 0.5 else 0.0
        if world.seed % 4:
            not_before = 0.0
        call = Call(
            f"fc-{next(self._names)}",
            function.function_id,
            rng.choice((CallKind.SINGLE, CallKind.MAP)),
            world.server_now,
            attached=rng.random() < 0.7,
            durable=True,
            priority=rng.choice((0, 0, 5, -5)),
            deadline=deadline,
            after=tuple(rng.sample(others, count)),
            run_anyway=rng.random() < 0.5,
            not_before=not_before,
        )
        return StoredCall(call, function.retries.max_retries)

    def _ended(self, call: Call) -> tuple[tuple[str, str], ...]:
        endings = self._world.endings
        return tuple((other, endings[other]) for other in call.after if other in endings)

    def _add(self, stored: StoredCall) -> None:
        world = self._world
        call_id = stored.call.call_id
        if stored.closed or not world.server.knows_call(call_id):
            return
        first = len(stored.known)
        again = range(max(0, first - 3), first)
        new = range(first, first + world.rng.randint(0, 20))
        stored.closed = world.is_calm or world.rng.random() < 0.5
        stored.known.add(new.start, new.stop)
        world.apply(InputsAdded(call_id, (again, new), stored.closed))
        if not stored.closed:
            world.after(world.rng.uniform(0, 20), lambda: self._add(stored))

    def _cancel(self, stored: StoredCall) -> None:
        if not stored.state:
            self._world.apply(CallCancelled(stored.call.call_id, "cancelled by the script"))
