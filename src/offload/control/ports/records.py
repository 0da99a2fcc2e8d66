"""The values of the store port: records that are written, and what is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from offload.control.ports.key_records import RemoveWebKey, SaveWebKey

if TYPE_CHECKING:
    from offload.control.core.deployments import Deployment
    from offload.control.core.events import History
    from offload.control.core.inputs import InputState
    from offload.control.core.model import Call, CallKind, FailureKind, Function, Scaling
    from offload.control.core.schedules import Schedule, ScheduledRun, ScheduleKey
    from offload.control.core.web_keys import WebKey


@dataclass(frozen=True, slots=True)
class SaveApp:
    """A new app. Repeats are ignored."""

    app_id: str
    name: str
    created_at: float
    workspace: str = "default"
    environment: str = "main"


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
class DropFunctions:
    """Functions on demand that nobody needs. Ignored for those of which a call is kept, and for unknown ones.

    To be given when everything before is on disk.
    """

    function_ids: tuple[str, ...]


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


@dataclass(frozen=True, slots=True)
class SaveDeployment:
    """All that is kept of a deployed app, whose versions were saved as apps. The last one counts.

    A version's app does not end while it is named here; the writer ends it when it is not any more.
    """

    deployment: Deployment


@dataclass(frozen=True, slots=True)
class SaveSchedule:
    """All that is kept of a schedule but its runs. The last one counts."""

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class RemoveSchedule:
    """The schedule is gone, with its runs. Ignored for an unknown one."""

    key: ScheduleKey


# Of each schedule, the last ones by their tick.
KEPT_RUNS = 50


@dataclass(frozen=True, slots=True)
class SaveRun:
    """What became of one tick of a schedule. Repeats are ignored, and so is one of an unknown schedule."""

    key: ScheduleKey
    run: ScheduledRun


Record = (
    SaveApp
    | EndApp
    | SaveFunction
    | DropFunctions
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
    | SaveDeployment
    | SaveSchedule
    | RemoveSchedule
    | SaveRun
    | SaveWebKey
    | RemoveWebKey
)


@dataclass(frozen=True, slots=True)
class StoredApp:
    """An app as it was saved. `stopped_at` is 0 while it runs."""

    app_id: str
    name: str
    created_at: float
    stopped_at: float
    workspace: str = "default"
    environment: str = "main"


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
    not_before: float = 0.0


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
    blob: str  # SHA-256 of the blob that its payload names; empty where it names none


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pass of collection took away."""

    calls: int  # that are gone altogether
    rows: int  # of all kinds; 0 of both says that nothing more is to be collected
    blobs: tuple[str, ...]  # nothing kept in the store names these any more


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a server needs to go on where the last one stopped, beside `Store.open_calls`.

    `last_log_seq` is 0 for an empty store.
    """

    # Running ones, and those of unfinished calls; of the versions of a deployed app only the one that serves is running.
    apps: tuple[StoredApp, ...]
    # Of those apps; of the functions on demand those that have something to run, or are kept warm.
    functions: tuple[Function, ...]
    last_log_seq: int
    workers: tuple[tuple[str, str], ...] = ()  # (id, name) of those that took part
    deployments: tuple[Deployment, ...] = ()  # all of them, oldest first
    schedules: tuple[
        tuple[Schedule, tuple[ScheduledRun, ...]], ...
    ] = ()  # with their runs, the last ones
    web_keys: tuple[WebKey, ...] = ()
