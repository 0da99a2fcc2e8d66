"""The messages between a worker and its runner, as values; `offload.wire.guest` says what the conversation is."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from typing import NamedTuple, Union
else:
    from offload.wire.records import NamedTuple

GUEST_PROTOCOL = 2

# Kinds of parameters: as it is, decimal digits, "1" or empty, hexadecimal.
TEXT, NUMBER, FLAG, DATA = "text", "number", "flag", "data"

# The type a fault names when the function is there but its process cannot be forked.
UNFORKABLE = "offload.Unforkable"


class Body(NamedTuple):
    """A user's bytes: inline, or sent before in `Bulk` frames under the number `bulk` (from 1)."""

    encoding: str
    inline: bytes
    bulk: int = 0


class TraceLine(NamedTuple):
    """One entry of a remote traceback."""

    file: str
    line: int
    function: str
    text: str


class Fault(NamedTuple):
    """Why user code failed, as the runner saw it."""

    type_name: str
    message: str
    frames: tuple[TraceLine, ...]
    exception: Body | None  # pickled, where it can be


# --- worker to runner ---


class Load(NamedTuple):
    """Become this function. Sent once, first."""

    function_name: str
    is_generator: bool
    code: Body
    sys_path: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    working_dir: str
    max_calls: int = 1  # of the function at the same time
    batch_size: int = 0  # call it with lists, for so many inputs at most; 0: with one input
    batch_wait_seconds: float = 0.0  # how long the first input of a batch waits for others
    # Of a class, in place of those in its code: name, kind, and the value as that kind is written.
    parameters: tuple[tuple[str, str, str], ...] = ()


class Task(NamedTuple):
    """One attempt of an input."""

    input_id: str
    attempt: int
    args: Body


class Run(NamedTuple):
    """Begin these in their order, after what is in hand, as far as there is room to run them at the same time."""

    tasks: tuple[Task, ...]


class Cancel(NamedTuple):
    """End these inputs: return the queued ones when it is their turn, interrupt the running one."""

    input_ids: tuple[str, ...]
    timed_out: bool
    reason: str


class GiveBack(NamedTuple):
    """Return every input that has not begun."""


class Stop(NamedTuple):
    """Finish what has begun, return the others, exit with 0."""


# --- runner to worker ---


class Hello(NamedTuple):
    """The runner is up."""

    protocol: int
    pid: int
    python_version: str


class Loaded(NamedTuple):
    """The function is ready for inputs, or `fault` says why not."""

    fault: Fault | None


class Begun(NamedTuple):
    """User code of this input is running. Sent only for inputs that run for more than a few milliseconds."""

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
    value: Body | None
    fault: Fault | None
    interrupted: bool  # it ended because of a Cancel
    item_count: int
    started_at: float
    run_seconds: float


class Results(NamedTuple):
    """Results in the order the inputs ended."""

    results: tuple[Result, ...]


class Output(NamedTuple):
    """A line, without its end, from Python's own streams; `input_id` is empty outside any input."""

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
    input_id: str = ""  # which input's code it is, where that is known


# --- both ways ---


class Bulk(NamedTuple):
    """A piece of a large body, in order; `last` completes it. Precedes the frame that names its number."""

    number: int
    data: bytes
    last: bool


if TYPE_CHECKING:
    from offload.wire.guest import asks

    Message = Union[
        Load,
        Run,
        Cancel,
        GiveBack,
        Stop,
        Hello,
        Loaded,
        Begun,
        Item,
        Results,
        Outputs,
        GivenBack,
        Exiting,
        Bulk,
        asks.Ask,
        asks.AskMore,
        asks.GiveUp,
        asks.Answer,
        asks.Credit,
    ]
