"""The store port: the durable record that the dispatcher is rebuilt from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offload.control.core.events import CallRestored, History
    from offload.control.core.inputs import InputState
    from offload.control.core.model import Call, CallKind, FailureKind, Function, Scaling


@dataclass(frozen=True, slots=True)
class SaveApp:
    """A new app. Repeats are ignored."""

    app_id: str
    name: str
    created_at: float
    workspace: str = "default"


@dataclass(frozen=True, slots=True)
class EndApp:
    """The app's caller is gone. The first end of an app counts; one of an unknown app is ignored."""

    app_id: str
    stopped_at: float


@dataclass(frozen=True, slots=True)
class SaveFunction:
    """A new function. Repeats are ignored."""

    function: Function


@dataclass(frozen=True, slots=True)
class SaveScaling:
    """How many containers a saved function may have from now on. The last one counts."""

    function_id: str
    scaling: Scaling


@dataclass(frozen=True, slots=True)
class SaveCall:
    """A new call, without its inputs. Repeats are ignored. The calls it comes after need not be known any more."""

    call: Call


@dataclass(frozen=True, slots=True)
class InputRow:
    """One input with its encoded Payload. `input_id` is `core.ids.input_id(call_id, index)`, as everywhere."""

    input_id: str
    index: int
    payload: bytes
    blob: str = ""  # SHA-256 of the blob that the payload names


@dataclass(frozen=True, slots=True)
class SaveInputs:
    """Inputs of a saved call. Known ones are ignored."""

    call_id: str
    rows: tuple[InputRow, ...]


@dataclass(frozen=True, slots=True)
class CloseCall:
    """No more inputs will follow. The first close of a call counts."""

    call_id: str
    total: int


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """The one outcome of an input; `seq` counts those of its call from 1. `body` is an encoded Outcome."""

    input_id: str
    call_id: str
    index: int
    seq: int
    attempts: int
    state: InputState
    failure: FailureKind | None
    reason: str
    body: bytes
    at: float
    blob: str = ""  # SHA-256 of the blob that the body names

    @property
    def size_bytes(self) -> int:
        """How long its body and its reason are."""
        return len(self.body) + len(self.reason)


@dataclass(frozen=True, slots=True)
class SaveOutcomes:
    """Outcomes. One that exists already stays as it is: an input ends once. A lost input is a dead letter from then on."""

    rows: tuple[OutcomeRow, ...]


@dataclass(frozen=True, slots=True)
class SaveOutcomeRun:
    """The same outcome of `count` inputs that never began, from index `first` and seq `first_seq` on.

    Costs as much as one outcome, and reads like as many as it stands for, with no attempts. Inputs in it that have an
    outcome already keep it. Repeats are ignored.
    """

    call_id: str
    first: int
    count: int
    first_seq: int
    state: InputState
    failure: FailureKind
    reason: str
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class SaveHistory:
    """What has happened to an unfinished input of a saved call. The last one counts."""

    call_id: str
    history: History


@dataclass(frozen=True, slots=True)
class ReplayedLetter:
    """The dead letter was submitted again, as the call `replay_call_id`. Ignored where there is no such letter."""

    input_id: str
    replay_call_id: str


@dataclass(frozen=True, slots=True)
class DropLetter:
    """The dead letter is off the list. Ignored where there is no such letter."""

    input_id: str


@dataclass(frozen=True, slots=True)
class SaveWorker:
    """A worker takes part: a server after this one may expect it back. Repeats are ignored."""

    worker_id: str
    name: str


@dataclass(frozen=True, slots=True)
class RemoveWorker:
    """A worker is not expected back. Ignored for an unknown one."""

    worker_id: str


@dataclass(frozen=True, slots=True)
class FinishCall:
    """Every input has its outcome. The first end of a call counts."""

    call_id: str
    state: str
    at: float


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item a generator input yielded, counted from 1. `payload` is an encoded Payload."""

    input_id: str
    seq: int
    payload: bytes
    blob: str = ""  # SHA-256 of the blob that the payload names

    @property
    def size_bytes(self) -> int:
        """How long its payload is."""
        return len(self.payload)


@dataclass(frozen=True, slots=True)
class SaveItems:
    """Items of generators. Known ones are ignored."""

    rows: tuple[ItemRow, ...]


@dataclass(frozen=True, slots=True)
class DropItems:
    """A generator input starts again: what it yielded before is void. Harmless where there is nothing."""

    input_id: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of output. `seq` is set by the writer, rising over the life of the store."""

    seq: int
    at: float
    app_id: str
    call_id: str
    input_id: str
    container_id: str
    function_name: str
    stream: str
    text: str

    @property
    def size_bytes(self) -> int:
        """How long its text is."""
        return len(self.text)


@dataclass(frozen=True, slots=True)
class SaveLogs:
    """Lines of output. Known ones are ignored; their ids need not be known."""

    rows: tuple[LogRow, ...]


Record = (
    SaveApp
    | EndApp
    | SaveFunction
    | SaveScaling
    | SaveCall
    | SaveInputs
    | CloseCall
    | SaveOutcomes
    | SaveOutcomeRun
    | SaveHistory
    | ReplayedLetter
    | DropLetter
    | SaveWorker
    | RemoveWorker
    | FinishCall
    | SaveItems
    | DropItems
    | SaveLogs
)


@dataclass(frozen=True, slots=True)
class StoredApp:
    """An app as it was saved. `stopped_at` is 0 while it runs."""

    app_id: str
    name: str
    created_at: float
    stopped_at: float
    workspace: str = "default"


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call as it was saved, with what became of it.

    `total` is 0 until it is closed; `finished_at` is 0 and `state` empty while it is open.
    """

    call_id: str
    app_id: str
    app_name: str
    function_id: str
    function_name: str
    kind: CallKind
    created_at: float
    attached: bool
    durable: bool
    closed: bool
    total: int
    state: str
    finished_at: float
    counts: dict[str, int] = field(
        default_factory=dict
    )  # outcomes by state; inputs without one are not in it
    priority: int = 0
    deadline: float = 0.0
    after: tuple[str, ...] = ()
    run_anyway: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A lost input that was neither replayed nor dropped."""

    input_id: str
    call_id: str
    index: int
    app_name: str
    function_id: str
    function_name: str
    attempts: int
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pass of collection took away."""

    calls: int  # that are gone altogether
    rows: int  # of all kinds; 0 of both says that nothing more is to be collected
    blobs: tuple[str, ...]  # nothing kept in the store names these any more


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a server needs to go on where the last one stopped. `last_log_seq` is 0 for an empty store."""

    apps: tuple[StoredApp, ...]  # running ones, and those of unfinished calls
    functions: tuple[Function, ...]  # of those apps
    calls: tuple[
        CallRestored, ...
    ]  # unfinished ones; their memory depends on the runs of inputs, not on the inputs
    last_log_seq: int
    workers: tuple[tuple[str, str], ...] = ()  # (id, name) of those that took part


class StoreError(Exception):
    """The store cannot serve; `message` says why and what a person can do (full disk, corrupt file, newer schema)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Store(Protocol):
    """Keeps records. Blocking: the services call `commit` from one writer thread and reads from others.

    `commit` applies all records of the sequence in order, or none, and refuses those of an app, function or call that
    was never saved; when it returns they survive power loss. It may be
    repeated with the same records without changing anything. Reads see every commit that returned before they began,
    and may run while a commit does. Every method raises `StoreError`, and nothing of the library beneath. After an
    error of `commit` the store is as before and may be used again once the cause is gone.
    """

    def commit(self, records: Sequence[Record]) -> None:
        """Write the records, all or none, durably."""

    def snapshot(self) -> Snapshot:
        """Read what is unfinished: calls in the order they were saved, their inputs in the order of their index."""

    def payloads(self, input_ids: Sequence[str]) -> dict[str, bytes]:
        """Read the encoded payloads of these inputs; unknown ones are missing from the answer."""

    def call(self, call_id: str) -> StoredCall | None:
        """Read one call."""

    def calls(self, app: str, open_only: bool, limit: int) -> list[StoredCall]:
        """List calls, newest (saved last) first. `app` is an id or a name; empty means all."""

    def apps(self, limit: int) -> list[StoredApp]:
        """List apps, newest (saved last) first."""

    def app(self, app: str) -> StoredApp | None:
        """Find an app by id, or the newest by name."""

    def function(self, function_id: str) -> Function | None:
        """Read one function."""

    def states(self, call_ids: Sequence[str]) -> dict[str, str]:
        """Read the final states of these calls, empty for open ones; unknown calls are missing from the answer."""

    def outcomes(self, call_id: str, after_seq: int, limit: int) -> list[OutcomeRow]:
        """Read a call's outcomes in the order of their seq."""

    def outcome(self, input_id: str) -> OutcomeRow | None:
        """Read one input's outcome, if it has one."""

    def items(self, input_id: str, after_seq: int, limit: int) -> list[ItemRow]:
        """Read a generator's items in order."""

    def logs(self, call_id: str, app_id: str, after_seq: int, limit: int) -> list[LogRow]:
        """Read lines in order, of a call or (with an empty call_id) of an app."""

    def dead_letters(self, app: str, limit: int) -> list[DeadLetter]:
        """List dead letters, newest first. `app` is an id or a name; empty means all."""

    def dead_letter(self, input_id: str) -> DeadLetter | None:
        """Read one dead letter."""

    def dead_letter_count(self, app: str) -> int:
        """Count the dead letters, of an app or all."""

    def collect(self, before: float, limit: int) -> Collected:
        """Remove what ended before that time, up to about `limit` rows, durably; call it again until it returns none.

        Goes by finished calls with all that belongs to them, then stopped apps without calls, with their functions, then
        lines of output. A call whose end has passed is gone for readers from the first pass that touches it. Writes, so it
        takes turns with `commit`, and may be called from any thread.
        """

    def blobs_in_use(self, sha256: Sequence[str]) -> set[str]:
        """Return which of these blobs something in the store names."""

    def close(self) -> None:
        """Release the store. Idempotent."""
