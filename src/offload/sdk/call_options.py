"""How calls are treated: a frozen value, checked where the user wrote it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from offload.errors import InvalidError
from offload.sdk.option_checks import check_number, check_whole

MAX_PRIORITY = 1000
MAX_KEY_CHARACTERS = 200

# What is about one call makes no sense for all of a function's.
_OF_ONE_CALL = ("after", "run_anyway", "idempotency_key", "delay", "at")


@dataclass(frozen=True)
class CallOptions:
    """How calls are treated. By default: at once, like any other, for as long as they take."""

    priority: int = 0  # higher first
    call_timeout: float | None = None  # seconds for a call as a whole, from its submission
    after: tuple[str, ...] = ()  # ids of calls that must have ended first
    run_anyway: bool = False  # although some of those did not succeed
    idempotency_key: str | None = None  # the same key of the same function is the same call
    delay: float | None = None  # seconds from its submission before it may begin
    at: float | None = None  # when it may begin, in Unix seconds
    any_version: bool = False  # also of a version that serves no more

    def __post_init__(self) -> None:
        check_whole("priority", self.priority, -MAX_PRIORITY, MAX_PRIORITY)
        if self.call_timeout is not None:
            check_number("call_timeout", self.call_timeout, 0.001, 366 * 86_400)
        anyway: object = self.run_anyway
        if not isinstance(anyway, bool):
            raise InvalidError(f"run_anyway={anyway!r} is neither True nor False")
        _check_key(self.idempotency_key)
        if self.delay is not None:
            check_number("delay", self.delay, 0, 366 * 86_400)
        if self.delay is not None and self.at is not None:
            raise InvalidError("delay and at both say when the call begins: leave one of them out")


def changed(options: CallOptions | None, arguments: Mapping[str, object]) -> CallOptions:
    """Return the options with some of them changed; None are the defaults. Raises `InvalidError`."""
    values = dict(arguments)
    if "after" in values:
        values["after"] = _call_ids(values["after"])
    if "at" in values:
        values["at"] = _moment(values["at"])
    return replace(options or CallOptions(), **values)  # type: ignore[arg-type]  # __post_init__ looks at each


def defaults_of(name: str, arguments: Mapping[str, object]) -> CallOptions:
    """Return what a decorator says of all calls of its function, refusing what can only be said of one."""
    for option in _OF_ONE_CALL:
        if option in arguments:
            raise InvalidError(
                f"{option} is about one call, so it cannot stand in @app.function(): "
                f"write {name}.with_options({option}={_example(option, arguments[option])}).remote(…)"
            )
    return changed(None, arguments)


def _moment(at: object) -> float | None:
    if at is None:
        return None
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InvalidError(
                f"at={at!r} has no time zone, so nobody knows when that is: write "
                'datetime(2030, 1, 1, 9, 0, tzinfo=ZoneInfo("Europe/Berlin")), or .astimezone() for this machine\'s'
            )
        return at.timestamp()
    check_number("at", at, 0, 1e11)
    return float(cast("float", at))


def _example(option: str, value: object) -> str:
    return "call" if option == "after" else repr(value)


def _call_ids(after: object) -> tuple[str, ...]:
    if isinstance(after, Iterable) and not isinstance(after, str):
        return tuple(dict.fromkeys(_call_id(call) for call in after))
    return (_call_id(after),)


def _call_id(call: object) -> str:
    call_id = call if isinstance(call, str) else getattr(call, "object_id", None)
    if isinstance(call_id, str) and call_id.startswith("fc-"):
        return call_id
    raise InvalidError(
        f"after={call!r:.60} is no call: give it what .spawn() returns, or its id (fc-…), or a list of those"
    )


def _check_key(key: object) -> None:
    if key is None:
        return
    if not isinstance(key, str) or not key.strip() or len(key) > MAX_KEY_CHARACTERS:
        raise InvalidError(
            f"idempotency_key={key!r:.60} is not a text of 1 to {MAX_KEY_CHARACTERS} characters"
        )
