"""The conversation between a worker and the runner in its container, over one stream socket.

A frame is a 4-byte little-endian length, a 1-byte kind, and a body. The other end of the worker's socket is a user's
process: nothing in a frame is trusted, nothing is unpickled, and a frame that does not parse ends the container.

This module runs in the user's container, on CPython 3.9 or later with the standard library alone.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Union

GUEST_PROTOCOL = 1


class Body(NamedTuple):
    """A user's bytes: inline, or sent before in `Bulk` frames under the number `bulk` (from 1)."""

    encoding: str
    inline: bytes
    bulk: int = 0


class Frame_(NamedTuple):
    """One entry of a remote traceback."""

    file: str
    line: int
    function: str
    text: str


class Fault(NamedTuple):
    """Why user code failed, as the runner saw it."""

    type_name: str
    message: str
    frames: tuple[Frame_, ...]
    exception: Optional[Body]  # pickled, where it can be


# --- worker to runner ---


class Load(NamedTuple):
    """Become this function. Sent once, first."""

    function_name: str
    is_generator: bool
    code: Body
    sys_path: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    working_dir: str


class Task(NamedTuple):
    """One attempt of an input."""

    input_id: str
    attempt: int
    args: Body


class Run(NamedTuple):
    """Run these, one after the other, after what is in hand."""

    tasks: tuple[Task, ...]


class Cancel(NamedTuple):
    """End these inputs: drop the queued ones silently, interrupt the running one."""

    input_ids: tuple[str, ...]
    timed_out: bool
    reason: str


class GiveBack(NamedTuple):
    """Return every input that has not begun."""


class Stop(NamedTuple):
    """Finish the input in hand, return the others, exit with 0."""


# --- runner to worker ---


class Hello(NamedTuple):
    """The runner is up."""

    protocol: int
    pid: int
    python_version: str


class Loaded(NamedTuple):
    """The function is ready for inputs, or `fault` says why not."""

    fault: Optional[Fault]


class Begun(NamedTuple):
    """This input's user code is running. Sent only for inputs that run for more than a few milliseconds."""

    input_id: str
    attempt: int


class Item(NamedTuple):
    """A generator yielded."""

    input_id: str
    attempt: int
    seq: int  # from 1
    value: Body


class Result(NamedTuple):
    """An attempt ended. `fault` is None when it succeeded."""

    input_id: str
    attempt: int
    value: Optional[Body]
    fault: Optional[Fault]
    interrupted: bool  # it ended because of a Cancel
    item_count: int
    started_at: float
    run_seconds: float


class Results(NamedTuple):
    """Results in the order the inputs were run."""

    results: tuple[Result, ...]


class Output(NamedTuple):
    """A line the input printed through Python's own streams; `input_id` is empty outside any input."""

    input_id: str
    stream: str  # "stdout" or "stderr"
    text: str


class Outputs(NamedTuple):
    """Lines in order."""

    lines: tuple[Output, ...]


class GivenBack(NamedTuple):
    """These have not begun and will not."""

    input_ids: tuple[str, ...]


class Exiting(NamedTuple):
    """User code is ending the process itself (`os._exit`)."""

    code: int


# --- both ways ---


class Bulk(NamedTuple):
    """A piece of a large body, in order; `last` completes it. Precedes the frame that names its number."""

    number: int
    data: bytes
    last: bool


Message = Union[
    Load, Run, Cancel, GiveBack, Stop,
    Hello, Loaded, Begun, Item, Results, Outputs, GivenBack, Exiting,
    Bulk,
]
