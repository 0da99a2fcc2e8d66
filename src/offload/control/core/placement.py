"""Where containers start, and who makes room for whom.

Pools that are short of containers get them one at a time in turn: first those of the workspace with the smallest share of
the cluster for its weight, within it those whose next input has the highest priority, then those with the fewest containers,
then those that have waited longest. A pool that has no container at all rises in priority while it waits.

Where nothing is free, a pool is promised room that is about to become so, or `claims` says whose containers must end for it.
Promises hold for one plan and are made anew in the next, in the order of rank: so a later pool neither takes what an earlier
one waits for nor has more containers stopped for the same need.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from offload.control.core.books import Books
from offload.control.core.claims import Claim, level
from offload.control.core.feasibility import is_feasible
from offload.control.core.instructions import StartContainer
from offload.control.core.model import ContainerState
from offload.control.core.scaling import shortage, stop, surplus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.control.core.model import Needs
    from offload.control.core.records import ContainerRecord, Pool, Slot, WorkerRecord
    from offload.control.core.state import State


class Plan:
    """One pass over the pools that are short of containers.

    Room only shrinks while it lasts: what could not be had once is not asked for again.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._books = Books(state)
        self._full: set[Needs] = set()  # no worker has room
        self._none_coming: set[Needs] = set()  # nor will have
        self._refused: set[tuple[object, ...]] = set()  # nobody gives way to such pools

    def run(self) -> None:
        """Start what fits and stop what must give way."""
        state = self._state
        short = {id_: shortage(state, pool) for id_, pool in state.starving.items()}
        line = [
            (*self._rank(pool), number, pool)
            for number, (id_, pool) in enumerate(state.starving.items())
            if short[id_] > 0
        ]
        heapq.heapify(line)
        while line:
            *rank, number, pool = line[0]
            now_ranked = self._rank(pool)
            if tuple(rank) != now_ranked:
                heapq.heapreplace(line, (*now_ranked, number, pool))
                continue
            function_id = pool.function.function_id
            is_served = not self._books.is_full(pool.workspace) and (
                self._start(pool) or self._claim(pool)
            )
            short[function_id] -= 1
            if is_served and short[function_id] > 0:
                heapq.heapreplace(line, (*self._rank(pool), number, pool))
            else:
                heapq.heappop(line)

    def _rank(self, pool: Pool) -> tuple[float, int, int, float]:
        live = self._books.live(pool)
        share = self._books.share(pool.workspace)
        return share, -level(self._state, pool, live), live, pool.waits_since

    def _start(self, pool: Pool) -> bool:
        worker = self._best(pool)
        if worker is None:
            return False
        state, function = self._state, pool.function
        gpus = self._books.free_gpus(worker, function.needs)
        container = state.add_container(
            state.new_container_id(), state.slot(pool, worker), ContainerState.STARTING, gpus
        )
        state.wake(state.now + 2 * function.startup_timeout_seconds, container)
        state.out.order(
            StartContainer(
                worker.info.worker_id, container.container_id, function.function_id, gpus
            )
        )
        return True

    def _best(self, pool: Pool) -> WorkerRecord | None:
        """Return the best worker with room; one on which the function failed to start only where no other has room."""
        needs = pool.function.needs
        if needs in self._full:
            return None
        candidates, books = self._state.candidates, self._books
        suspects = pool.suspects
        found = candidates.first(
            needs,
            lambda worker: worker.info.worker_id in suspects or not books.has_room(worker, needs),
        )
        if found is None and suspects:
            found = candidates.first(needs, lambda worker: not books.has_room(worker, needs))
        if found is None:
            self._full.add(needs)
        return found

    def _claim(self, pool: Pool) -> bool:
        """Have the pool promised room that is about to become free, or make some."""
        worker = self._coming(pool.function.needs) or self._make_room(pool)
        if worker is not None:
            self._books.promise(pool, worker)
            return True
        if pool.queue.size:
            self._state.wait_for_turns()
        return False

    def _coming(self, needs: Needs) -> WorkerRecord | None:
        if needs in self._none_coming:
            return None
        for worker in self._state.stopping.values():
            if is_feasible(worker, needs) and self._books.will_fit(worker, needs):
                return worker
        self._none_coming.add(needs)
        return None

    def _make_room(self, pool: Pool) -> WorkerRecord | None:
        """Stop containers of others where the pool may take them; return the worker that will have room."""
        claim = Claim(self._state, self._books, pool)
        if claim.kind in self._refused:
            return None
        needs = pool.function.needs
        for slot in self._givers(pool, claim):
            if not is_feasible(slot.worker, needs):
                continue
            given = self._gather(slot.worker, pool)
            for container in given:
                stop(self._state, container)
            if given:
                self._none_coming.clear()  # more may end than is needed
                return slot.worker
        self._refused.add(claim.kind)
        return None

    def _givers(self, pool: Pool, claim: Claim) -> Iterator[Slot]:
        """Iterate over where containers might give way: idle ones first, then those of the workspaces that have most."""
        pools = [
            p for p in self._state.staffed.values() if p is not pool and claim.may_take_some(p)
        ]
        pools.sort(key=lambda p: (surplus(p) <= 0, -self._books.share(p.workspace), -p.live))
        for giver in pools:
            slots = [slot for slot in giver.slots.values() if slot.live and slot.worker.is_online]
            if surplus(giver) > 0:
                yield from (slot for slot in slots if len(slot.held) < slot.live)
            yield from slots

    def _gather(self, worker: WorkerRecord, pool: Pool) -> list[ContainerRecord]:
        """Return containers on the worker whose end makes room enough, no more than it takes; none where that cannot be."""
        candidates = [
            container
            for slot in worker.slots.values()
            if slot.pool is not pool
            for container in slot.containers.values()
            if container.is_live
        ]
        share = self._books.share
        candidates.sort(
            key=lambda c: (
                surplus(c.slot.pool) <= 0,
                c.running,
                -share(c.slot.pool.workspace),
                -c.slot.pool.live,
                c.started_at,
            )
        )
        claim, needs = Claim(self._state, self._books, pool), pool.function.needs
        given: list[ContainerRecord] = []
        for container in candidates:
            if not claim.may_take(container):
                continue
            claim.take(container)
            given.append(container)
            if self._books.will_fit(worker, needs, given):
                return self._without_spare(worker, needs, given)
        return []

    def _without_spare(
        self, worker: WorkerRecord, needs: Needs, given: list[ContainerRecord]
    ) -> list[ContainerRecord]:
        for container in list(given):
            fewer = [other for other in given if other is not container]
            if self._books.will_fit(worker, needs, fewer):
                given = fewer
        return given
