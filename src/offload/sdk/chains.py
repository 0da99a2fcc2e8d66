"""Exceptions with those that led to them: how a chain leaves a container, and how it comes back at the caller.

An exception by itself loses its cause, its context and its traceback when it is pickled. So each of a chain is pickled
alone, beside its name, its text and its frames: one that does not pickle, or whose type the caller lacks, is then
replaced by a `RemoteError`, and the others of its chain stay what they were.

Valid on CPython 3.9, because the runner uses it too.
"""

from __future__ import annotations

import contextlib

from offload.sdk import serialize

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import NamedTuple
else:
    from offload.wire.records import NamedTuple

_LONGEST_CHAIN = 20
_MAX_MESSAGE_CHARS = 64 * 1024
_NONE = -1  # no other link

Frame = tuple[str, int, str, str]  # file, line, function, source text


class Link(NamedTuple):
    """One exception of a chain. `cause` and `context` are places in the chain; pickles name this, so never renamed."""

    pickled: bytes | None
    type_name: str
    message: str
    notes: tuple[str, ...]
    frames: tuple[Frame, ...]
    cause: int
    context: int
    suppress_context: bool


class _Chain:
    """Pickles as the exception that its first link is."""

    def __init__(self, links: list[Link]) -> None:
        self._links = links

    def __reduce__(self) -> tuple[object, ...]:
        return restore, (self._links,)


def dump_exception(
    error: BaseException,
    frames_of: Callable[[TracebackType | None], tuple[Frame, ...]] = lambda _: (),
) -> bytes | None:
    """Return a pickle whose `loads` is the exception with its chain; None where its name and text are all there is.

    `frames_of` says which frames of a traceback travel; the first exception's travel with the failure itself.
    """
    errors = _chain_of(error)
    links = [
        _link(each, errors, () if each is error else frames_of(each.__traceback__))
        for each in errors
    ]
    if links[0].pickled is None and len(links) == 1:
        return None
    return serialize.dumps(_Chain(links))


def restore(links: list[Link]) -> BaseException:
    """Put a chain together again; named by pickles, so never renamed."""
    errors = [_revive(link) for link in links]
    for error, link in zip(errors, links):
        error.__context__ = errors[link.context] if link.context != _NONE else None
        error.__cause__ = errors[link.cause] if link.cause != _NONE else None
        error.__suppress_context__ = link.suppress_context
    return errors[0]


def take_frames(error: BaseException) -> tuple[Frame, ...]:
    """Return the frames that came with a restored exception, once."""
    frames: tuple[Frame, ...] = getattr(error, "__dict__", {}).pop("__remote_frames__", ())
    return frames


def type_name_of(error: BaseException) -> str:
    """Return the name by which a person knows the exception's type."""
    kind = type(error)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """Return the exception's text, whatever its `__str__` does."""
    try:
        return str(error)[:_MAX_MESSAGE_CHARS]
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything
        return f"<{type_name_of(error)} whose text cannot be shown>"


def _chain_of(error: BaseException) -> list[BaseException]:
    chain = [error]
    for each in chain:  # grows while it is walked
        for other in (each.__cause__, each.__context__):
            is_known = other is None or any(other is known for known in chain)
            if not is_known and len(chain) < _LONGEST_CHAIN:
                chain.append(other)  # type: ignore[arg-type]  # not None
    return chain


def _link(error: BaseException, chain: list[BaseException], frames: tuple[Frame, ...]) -> Link:
    return Link(
        _survivor(error),
        type_name_of(error),
        message_of(error),
        tuple(note for note in getattr(error, "__notes__", ()) if isinstance(note, str)),
        frames,
        _place(error.__cause__, chain),
        _place(error.__context__, chain),
        error.__suppress_context__,
    )


def _place(error: BaseException | None, chain: list[BaseException]) -> int:
    return next((index for index, each in enumerate(chain) if each is error), _NONE)


def _survivor(error: BaseException) -> bytes | None:
    # Pickling is not enough: an exception whose __init__ wants other arguments than `args` fails when loaded.
    try:
        data = serialize.dumps(error)
        return data if type(serialize.loads(data)) is type(error) else None
    except Exception:  # noqa: BLE001 - whatever a user's exception does here, the caller gets its text
        return None


def _revive(link: Link) -> BaseException:
    error = _load(link.pickled) if link.pickled is not None else None
    if error is None:
        from offload.errors import RemoteError  # noqa: PLC0415 - not needed in most containers

        error = RemoteError(link.type_name, link.message)
        if link.notes:
            error.__notes__ = list(link.notes)
    if link.frames:
        with contextlib.suppress(Exception):  # a user's exception may refuse attributes
            error.__remote_frames__ = link.frames  # type: ignore[attr-defined]
    return error


def _load(data: bytes) -> BaseException | None:
    # Whatever loading a user's exception runs into, its type, message and traceback are still worth showing.
    try:
        error = serialize.loads(data)
    except Exception:  # noqa: BLE001
        return None
    return error if isinstance(error, BaseException) else None
