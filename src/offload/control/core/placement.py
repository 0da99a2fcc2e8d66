"""Where containers start, and who makes room for whom.

Pools that are short of containers get them one at a time in turn: first those of the workspace with the smallest share of
the cluster for its weight, within it those whose next input has the highest priority, then those with the fewest containers,
then those that have waited longest. A pool that has no container at all rises in priority while it waits.

Where nothing is free, a pool is promised room that is about to become so, or `claims` says whose containers must end for it.
It takes whatever room it can have before, and then needs the promise no more.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

from offload.control.core import promises
from offload.control.core.claims import Claim, level
from offload.control.core.feasibility import is_feasible
from offload.control.core.instructions import StartContainer
from offload.control.core.model import ContainerState
from offload.control.core.promises import has_room_to_give
from offload.control.core.scaling import shortage, stop, surplus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offload.control.core.model import Needs
    from offload.control.core.records import ContainerRecord, Pool, Slot, WorkerRecord
    from offload.control.core.state import State


# So many workers are asked to give way in one plan for one kind of pool; the next plan asks others.
MAX_TRIES = 8


class Plan:
    """One pass over the pools that are short of containers.

    Room only shrinks while it lasts: what could not be had once is not asked for again.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._full: set[Needs] = set()  # no worker has room
        self._none_coming: set[Needs] = set()  # nor will have

    def run(self) -> None:
        """Start what fits and stop what must give way."""
        state = self._state
        state.plans += 1
        self._keep_promises()
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
            if self._start(pool):
                short[function_id] -= 1
                promises.drop_spare(state, pool, short[function_id])
                is_served = short[function_id] > 0
            else:
                is_served = short[function_id] > len(pool.promises) and self._claim(pool)
                # It may have started one already, in the place of another of its workspace.
                short[function_id] = shortage(state, pool)
                is_served = is_served and short[function_id] > 0
            if is_served:
                heapq.heapreplace(line, (*self._rank(pool), number, pool))
            else:
                heapq.heappop(line)

    def _rank(self, pool: Pool) -> tuple[float, int, int, float]:
        live = pool.live + len(pool.promises)
        share = self._state.share(pool.workspace)
        return share, -level(self._state, pool), live, pool.waits_since

    def _keep_promises(self) -> None:
        state = self._state
        ready, state.promised = state.promised, {}
        for worker in ready.values():
            for promise in list(worker.promises):
                if worker.is_online and promises.is_due(promise):
                    promises.drop(state, promise)
                    self._place(promise.pool, worker, promise.gpus)

    def _start(self, pool: Pool) -> bool:
        # What it was promised already is in the workspace's count, and may as well be had elsewhere.
        if pool.workspace.is_full and not pool.promises:
            return False
        worker = self._best(pool)
        if worker is None:
            return False
        if pool.workspace.is_full:
            promises.drop_spare(self._state, pool, len(pool.promises) - 1)
        self._place(pool, worker, promises.free_gpus(worker, pool.function.needs))
        return True

    def _place(self, pool: Pool, worker: WorkerRecord, gpus: tuple[int, ...]) -> None:
        state, function = self._state, pool.function
        container = state.add_container(
            state.new_container_id(), state.slot(pool, worker), ContainerState.STARTING, gpus
        )
        state.wake(state.now + 2 * function.startup_timeout_seconds, container)
        state.out.order(
            StartContainer(
                worker.info.worker_id, container.container_id, function.function_id, gpus
            )
        )

    def _best(self, pool: Pool) -> WorkerRecord | None:
        """Return the best worker with room; one on which the function failed to start only where no other has room."""
        needs = pool.function.needs
        if needs in self._full:
            return None
        candidates, suspects = self._state.candidates, pool.suspects
        found = candidates.first(
            needs,
            lambda worker: worker.info.worker_id in suspects or not has_room_to_give(worker, needs),
        )
        if found is None and suspects:
            found = candidates.first(needs, lambda worker: not has_room_to_give(worker, needs))
        if found is None:
            self._full.add(needs)
        return found

    def _claim(self, pool: Pool) -> bool:
        """Have the pool promised room that is about to become free, or make some."""
        if pool.workspace.is_full:
            is_served = self._swap(pool)
        else:
            worker = self._coming(pool.function.needs) or self._make_room(pool)
            is_served = worker is not None
            if worker is not None:
                promises.make(self._state, pool, worker)
        if not is_served:
            self._state.wait_for_turns()
        return is_served

    def _swap(self, pool: Pool) -> bool:
        """Have another pool of a workspace that has all it may have end a container for this one."""
        claim = Claim(self._state, pool)
        if claim.kind in self._state.refused:
            return False
        givers = self._givers(pool, claim)
        mine = {
            giver: place for giver, place in givers.items() if giver.workspace is pool.workspace
        }
        own = [
            container
            for slot in self._slots(mine)
            for container in slot.containers.values()
            if container.is_live and claim.may_take(container)
        ]
        if own and self._best(pool) is not None:
            stop(self._state, own[0])
            return self._start(pool)
        given, worker = self._with_own(pool, claim, own, givers)
        for container in given:
            stop(self._state, container)
        if worker is not None:
            promises.make(self._state, pool, worker)
            return True
        self._state.refused.add(claim.kind)
        return False

    def _with_own(
        self, pool: Pool, claim: Claim, own: list[ContainerRecord], givers: dict[Pool, int]
    ) -> tuple[list[ContainerRecord], WorkerRecord | None]:
        """Return containers, one of the workspace's own among them, whose end makes room, and on which worker."""
        needs = pool.function.needs
        for container in own:
            worker = container.slot.worker
            if is_feasible(worker, needs) and promises.will_fit(worker, needs, [container]):
                return [container], worker
        tries = (slot.worker for slot in self._slots(givers) if is_feasible(slot.worker, needs))
        for worker in islice(tries, MAX_TRIES if own else 0):
            given = self._gather(worker, claim, givers)
            if given:
                has_own = any(one.slot.pool.workspace is pool.workspace for one in given)
                return given if has_own else [own[0], *given], worker
        return [], None

    def _coming(self, needs: Needs) -> WorkerRecord | None:
        if needs in self._none_coming:
            return None
        for worker in self._state.coming.values():
            if is_feasible(worker, needs) and promises.will_fit(worker, needs):
                return worker
        self._none_coming.add(needs)
        return None

    def _make_room(self, pool: Pool) -> WorkerRecord | None:
        """Stop containers of others where the pool may take them; return the worker that will have room."""
        claim = Claim(self._state, pool)
        if claim.kind in self._state.refused:
            return None
        needs = pool.function.needs
        givers = self._givers(pool, claim)
        tries = 0
        for slot in self._slots(givers):
            if tries == MAX_TRIES:
                break
            if not is_feasible(slot.worker, needs):
                continue
            given = self._gather(slot.worker, claim, givers)
            tries += 1
            for container in given:
                stop(self._state, container)
            if given:
                self._none_coming.clear()  # more may end than is needed
                return slot.worker
        self._state.refused.add(claim.kind)
        return None

    def _givers(self, pool: Pool, claim: Claim) -> dict[Pool, int]:
        """Return whose containers might give way, and in which order: idle ones first, then of who has most."""
        givers = [
            p for p in self._state.staffed.values() if p is not pool and claim.may_take_some(p)
        ]
        givers.sort(key=lambda p: (surplus(p) <= 0, -self._state.share(p.workspace), -p.live))
        return {giver: place for place, giver in enumerate(givers)}

    def _slots(self, givers: dict[Pool, int]) -> Iterator[Slot]:
        for giver in givers:
            slots = [slot for slot in giver.slots.values() if slot.live and slot.worker.is_online]
            first = self._state.plans % len(slots)
            slots = slots[first:] + slots[:first]
            if surplus(giver) > 0:
                yield from (slot for slot in slots if len(slot.held) < slot.live)
            yield from slots

    def _gather(
        self, worker: WorkerRecord, claim: Claim, givers: dict[Pool, int]
    ) -> list[ContainerRecord]:
        """Return containers on the worker whose end makes room enough, no more than it takes; none where that cannot be."""
        candidates = [
            (surplus(slot.pool) <= 0, container.running, givers[slot.pool], container.started_at, number, container)
            for slot in worker.slots.values()
            if slot.live and slot.pool in givers
            for number, container in enumerate(slot.containers.values())
            if container.state is not ContainerState.STOPPING
        ]  # fmt: skip
        candidates.sort()
        needs = claim.pool.function.needs
        claim.take_none()
        given: list[ContainerRecord] = []
        for *_, container in candidates:
            if not claim.may_take(container):
                continue
            claim.take(container)
            given.append(container)
            if promises.will_fit(worker, needs, given):
                return self._without_spare(worker, needs, given)
        return []

    def _without_spare(
        self, worker: WorkerRecord, needs: Needs, given: list[ContainerRecord]
    ) -> list[ContainerRecord]:
        for container in list(given):
            fewer = [other for other in given if other is not container]
            if promises.will_fit(worker, needs, fewer):
                given = fewer
        return given
