"""Which functions have a template on this worker: decided here, carried out by `offload.worker.supervisor`.

A template is built once a plain start of its function has succeeded and the function has stayed for a moment: so it delays
no first start, and a program that makes one call and ends pays for none. It is dropped when its function is forgotten, when it
was long not used, when there are too many, and, the least recently used first, while memory is short.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

# How often memory and idleness are looked at.
_WATCH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TemplatePolicy:
    """How many templates a worker has, and for how long."""

    max_count: int = 8  # 0: every container starts plainly
    settle_seconds: float = (
        0.5  # after a function's first plain start; a guess that spares short programs
    )
    idle_seconds: float = 600.0
    free_memory_mib: int = 512  # less than this: templates go
    max_deaths: int = 3  # of one function's templates; then no more is built


class Build(NamedTuple):
    """Start a template of this function."""

    function_id: str


class Drop(NamedTuple):
    """End this function's template; containers that were forked from it go on."""

    function_id: str


class _State(enum.Enum):
    SETTLING = enum.auto()  # a plain start has succeeded
    BUILDING = enum.auto()
    READY = enum.auto()
    GONE = enum.auto()  # it was dropped or died; the next plain start may bring another
    UNUSABLE = enum.auto()


@dataclass(slots=True)
class _Entry:
    state: _State
    since: float
    used_at: float
    deaths: int = 0


class TemplateDecisions:
    """Every function's template, as far as decided. Times are monotonic seconds."""

    def __init__(self, policy: TemplatePolicy) -> None:
        self._policy = policy
        self._entries: dict[str, _Entry] = {}

    @property
    def next_tick_seconds(self) -> float | None:
        """In what time to look again; None while time alone changes nothing."""
        states = {entry.state for entry in self._entries.values()}
        if _State.SETTLING in states:
            return self._policy.settle_seconds
        return _WATCH_SECONDS if _State.READY in states else None

    def may_fork(self, function_id: str, now: float) -> bool:
        """Tell whether a container that is asked for now is to be forked, and take note of it."""
        entry = self._entries.get(function_id)
        if entry is None or entry.state is not _State.READY:
            return False
        entry.used_at = now
        return True

    def started_plainly(self, function_id: str, now: float) -> None:
        """Take note that a plain start of the function has succeeded."""
        if self._policy.max_count == 0:
            return
        entry = self._entries.get(function_id)
        if entry is None:
            self._entries[function_id] = _Entry(_State.SETTLING, now, now)
        elif entry.state is _State.GONE and entry.deaths < self._policy.max_deaths:
            entry.state, entry.since, entry.used_at = _State.SETTLING, now, now

    def built(self, function_id: str, now: float) -> None:
        """Take note that a template has said that it is loaded."""
        self._move(function_id, _State.BUILDING, _State.READY, now)

    def unusable(self, function_id: str, now: float) -> None:
        """Take note that the function cannot be forked, and never will."""
        self._move(function_id, _State.BUILDING, _State.UNUSABLE, now)

    def died(self, function_id: str, now: float) -> None:
        """Take note that a template has ended that nobody had dropped, or that a fork of it failed."""
        entry = self._entries.get(function_id)
        if entry is not None and entry.state in (_State.BUILDING, _State.READY):
            entry.state, entry.since = _State.GONE, now
            entry.deaths += 1

    def outdated(self, function_id: str, now: float) -> None:
        """Take note that the function's template was ended because its environment is another now."""
        self._move(function_id, _State.READY, _State.GONE, now)

    def forget(self, function_id: str) -> list[Drop]:
        """Take note that the function is no more."""
        entry = self._entries.pop(function_id, None)
        return [Drop(function_id)] if entry is not None and _is_alive(entry) else []

    def tick(self, now: float, available_mib: int) -> list[Build | Drop]:
        """Decide what time and memory ask for."""
        policy = self._policy
        decided: list[Build | Drop] = []
        is_short = available_mib < policy.free_memory_mib
        for function_id, entry in self._by_use():
            is_idle = now - entry.used_at >= policy.idle_seconds
            if entry.state is _State.READY and (is_idle or is_short):
                decided.append(self._drop(function_id, entry, now))
                is_short = False  # one at a time: what it frees shows at the next tick
        if available_mib >= policy.free_memory_mib:
            decided += self._build_settled(now)
        return decided

    def _build_settled(self, now: float) -> list[Build | Drop]:
        decided: list[Build | Drop] = []
        for function_id, entry in self._entries.items():
            has_settled = now - entry.since >= self._policy.settle_seconds
            if entry.state is not _State.SETTLING or not has_settled:
                continue
            alive = [other for other in self._by_use() if _is_alive(other[1])]
            if len(alive) >= self._policy.max_count:
                oldest_id, oldest = alive[0]
                if oldest.state is not _State.READY or oldest.used_at >= entry.since:
                    continue  # all others were used since
                decided.append(self._drop(oldest_id, oldest, now))
            entry.state, entry.since, entry.used_at = _State.BUILDING, now, now
            decided.append(Build(function_id))
        return decided

    def _drop(self, function_id: str, entry: _Entry, now: float) -> Drop:
        entry.state, entry.since = _State.GONE, now
        return Drop(function_id)

    def _by_use(self) -> list[tuple[str, _Entry]]:
        """List all, the least recently used first."""
        return sorted(self._entries.items(), key=lambda item: item[1].used_at)

    def _move(self, function_id: str, source: _State, target: _State, now: float) -> None:
        entry = self._entries.get(function_id)
        if entry is not None and entry.state is source:
            entry.state, entry.since, entry.used_at = target, now, now


def _is_alive(entry: _Entry) -> bool:
    return entry.state in (_State.BUILDING, _State.READY)
