"""Which call waits for which. A call that comes after others is blocked until they have ended.

Calls can only come after calls that are known, so there are no cycles but those within one graph that is submitted at once;
`find_cycle` finds these. Every edge is looked at twice, when it is made and when its first end has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.calls import Blame
from offload.control.core.errors import DomainError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from offload.control.core.calls import CallRecord
    from offload.control.core.model import Call
    from offload.control.core.state import State

_ENDINGS = {"failed": "failed", "cancelled": "was cancelled"}


def check(state: State, call: Call, ended: Mapping[str, str]) -> None:
    """Refuse a call that comes after itself, or after one that nobody knows."""
    for other in call.after:
        if other == call.call_id:
            raise DomainError(
                ErrorCode.INVALID, f"Call {other} is to come after itself: {other} <- {other}."
            )
        if other not in state.calls and other not in ended:
            raise DomainError(
                ErrorCode.NOT_FOUND,
                f"Call {call.call_id} is to come after {other}, which is not known: submit that one first.",
            )


def wait_for_others(state: State, call: CallRecord, ended: Mapping[str, str]) -> None:
    """Block the call on those that it comes after and that have not ended; blame one that has not succeeded."""
    for other in call.call.after:
        if other in state.calls:
            call.blocked_on[other] = None
            state.dependants.setdefault(other, {})[call.call.call_id] = call
        elif ended.get(other, "succeeded") != "succeeded" and not call.call.run_anyway:
            call.blame = Blame(other, other, _ENDINGS[ended[other]], 1)
    if call.blocked_on:
        call.is_blocked = True


def leave_others(state: State, call: CallRecord) -> None:
    """Wait for no call any more, nor for a time."""
    if not call.is_blocked:
        return
    call.is_blocked = call.is_early = False
    state.touch_pool(call.pool)
    for other in call.blocked_on:
        waiting = state.dependants.get(other, {})
        waiting.pop(call.call.call_id, None)
        if not waiting:
            state.dependants.pop(other, None)
    call.blocked_on.clear()


def take_dependants(state: State, call: CallRecord, ending: str) -> list[CallRecord]:
    """Tell those that wait for the call that it ended; return those that wait no longer, or have no need to."""
    call_id = call.call.call_id
    freed: list[CallRecord] = []
    for other in state.dependants.pop(call_id, {}).values():
        del other.blocked_on[call_id]
        if ending != "succeeded" and not other.call.run_anyway:
            other.blame = _blame(call, ending)
            freed.append(other)
        elif not other.blocked_on and not other.is_early:
            freed.append(other)
    return freed


def find_cycle(after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return calls each of which comes after the next, and the last after the first; empty where there are none.

    >>> find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]})
    ['b', 'c']
    """
    is_done: dict[str, bool] = {}  # False while it is on the path
    for start in after:
        if start in is_done:
            continue
        path = [(start, iter(after[start]))]
        is_done[start] = False
        while path:
            call_id, others = path[-1]
            other = next((o for o in others if o in after and not is_done.get(o, False)), None)
            if other is None:
                is_done[call_id] = True
                path.pop()
            elif other in is_done:
                names = [name for name, _ in path]
                return names[names.index(other) :]
            else:
                is_done[other] = False
                path.append((other, iter(after[other])))
    return []


def _blame(call: CallRecord, ending: str) -> Blame:
    call_id = call.call.call_id
    if call.blame is not None:
        root = call.blame
        return Blame(call_id, root.root_id, root.root_reason, root.distance + 1)
    reason = f"{_ENDINGS[ending]}: {call.trouble}" if call.trouble else _ENDINGS[ending]
    return Blame(call_id, call_id, reason, 1)
