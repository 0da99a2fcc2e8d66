"""What the rest of the SDK knows of the wire: plain values, so that only `client` touches the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, NamedTuple, Protocol


class LocalEnvironment(NamedTuple):
    """The caller's own Python environment; see `LocalImage` in the schema."""

    host_id: str
    python: str
    sys_path: tuple[str, ...]
    read_only_paths: tuple[str, ...]
    working_dir: str


class AppName(NamedTuple):
    """Which deployed app; what is empty is what the settings say."""

    name: str
    workspace: str = ""
    environment: str = ""

    def completed(self, workspace: str, environment: str) -> AppName:
        """Return it with these where it says nothing."""
        return AppName(self.name, self.workspace or workspace, self.environment or environment)


class ResolvedFunction(NamedTuple):
    """A function of a deployed app, in the version that was asked for."""

    function_id: str
    version: int
    is_generator: bool


class WebAddress(NamedTuple):
    """Where a web endpoint is."""

    function_id: str
    target: str  # which method of a class; empty for a function
    url: str


class ResolvedClass(NamedTuple):
    """The containers of a class of a deployed app with some parameters, in the version that was asked for."""

    function_id: str
    version: int
    methods: dict[str, bool]  # by name: whether it is a generator


class Deployed(NamedTuple):
    """What a deployment came to."""

    app_name: str
    environment: str
    version: int
    is_unchanged: bool  # that version served already
    replaced_version: int | None  # the one that served before; None: none did


class TraceLine(NamedTuple):
    """One entry of a remote traceback."""

    file: str
    line: int
    function: str
    text: str


class Failure(NamedTuple):
    """Why an input did not succeed."""

    kind: str  # "LOST" of an input that was given up, else as in the schema: "EXCEPTION", "TIMEOUT", …
    reason: str
    type_name: str
    message: str
    frames: tuple[TraceLine, ...]
    exception: bytes | IO[bytes] | None  # pickled
    exit_code: int
    signal: int
    last_lines: tuple[str, ...] = ()  # what a container that could not start printed last


class ObjectOrder(NamedTuple):
    """What the server is asked to open. Empty where it does not matter."""

    kind: str
    workspace: str
    environment: str
    name: str = ""
    object_id: str = ""
    create_if_missing: bool = False
    app_id: str = ""


class ObjectInfo(NamedTuple):
    """A named object as it is listed."""

    object_id: str
    name: str
    environment_name: str
    created_at: float  # Unix seconds
    last_used_at: float  # as exactly as its expiry needs it


class SecretInfo(NamedTuple):
    """A secret as it is listed: without its values."""

    object_id: str
    name: str
    environment_name: str
    keys: tuple[str, ...]  # the names of its variables
    created_at: float  # Unix seconds
    updated_at: float


class Ended(NamedTuple):
    """How an input ended: `value` is the pickled result where `failure` is None."""

    seq: int
    position: int  # of the input in its call, from 0
    value: bytes | IO[bytes]
    failure: Failure | None
    call_id: str = ""  # where the caller did not choose it


class CallStatus(NamedTuple):
    """What a call is and how far it is."""

    call_id: str
    function_name: str
    app_name: str
    kind: str  # "single", "map" or "generator"
    state: str  # "pending", "running", "succeeded", "failed" or "cancelled"
    counts: dict[str, int]  # of inputs, by the name of their state
    priority: int = 0
    after: tuple[str, ...] = ()  # the ids of the calls it comes after
    waiting_reason: str = ""  # what the call as a whole waits for


class Scaling(NamedTuple):
    """How many containers a function may have; None leaves it as it is."""

    min_containers: int | None = None
    max_containers: int | None = None
    buffer_containers: int | None = None
    scaledown_window: float | None = None  # seconds


@dataclass(frozen=True)
class Letter:
    """An input that was given up, as its workers or containers went away too often."""

    input_id: str
    call_id: str
    index: int  # of the input in its call, from 0
    app_name: str
    function_name: str
    attempts: int
    at: float  # when it was given up, Unix seconds
    reason: str


class LogLine(NamedTuple):
    """A line that a function printed, or that the system says about it."""

    at: float  # Unix seconds
    call_id: str
    input_id: str
    container_id: str
    stream: str  # "stdout", "stderr" or "system"
    text: str
    seq: int
    function_name: str


class PoolProgress(NamedTuple):
    """How far the inputs of one function are."""

    function_id: str
    function_name: str
    containers_starting: int
    containers_ready: int
    inputs_pending: int
    inputs_running: int
    inputs_finished: int
    waiting_reason: str
    is_impossible: bool = False  # none of the workers that are there can ever run them


class Output(Protocol):
    """Where an app's output goes while it runs. Called from the connection's thread, so it returns quickly."""

    def line(self, line: LogLine) -> None:
        """Show one line."""

    def progress(self, pools: list[PoolProgress]) -> None:
        """Take in how far the app's functions are; called a few times a second while that changes."""
