from offload.wire.gen import calls_pb2 as _calls_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContainerScope(_message.Message):
    __slots__ = ("workspace", "environment")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    environment: str
    def __init__(self, workspace: _Optional[str] = ..., environment: _Optional[str] = ...) -> None: ...

class ListContainersRequest(_message.Message):
    __slots__ = ("scope", "app")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    scope: ContainerScope
    app: str
    def __init__(self, scope: _Optional[_Union[ContainerScope, _Mapping]] = ..., app: _Optional[str] = ...) -> None: ...

class ContainerSummary(_message.Message):
    __slots__ = ("container_id", "function_id", "function_name", "app_id", "app_name", "environment", "worker_id", "worker_name", "state", "started_at", "inputs_in_hand")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    APP_NAME_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_IN_HAND_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    function_id: str
    function_name: str
    app_id: str
    app_name: str
    environment: str
    worker_id: str
    worker_name: str
    state: str
    started_at: float
    inputs_in_hand: int
    def __init__(self, container_id: _Optional[str] = ..., function_id: _Optional[str] = ..., function_name: _Optional[str] = ..., app_id: _Optional[str] = ..., app_name: _Optional[str] = ..., environment: _Optional[str] = ..., worker_id: _Optional[str] = ..., worker_name: _Optional[str] = ..., state: _Optional[str] = ..., started_at: _Optional[float] = ..., inputs_in_hand: _Optional[int] = ...) -> None: ...

class ListContainersReply(_message.Message):
    __slots__ = ("containers",)
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    containers: _containers.RepeatedCompositeFieldContainer[ContainerSummary]
    def __init__(self, containers: _Optional[_Iterable[_Union[ContainerSummary, _Mapping]]] = ...) -> None: ...

class StopContainerRequest(_message.Message):
    __slots__ = ("scope", "container_id", "now")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    scope: ContainerScope
    container_id: str
    now: bool
    def __init__(self, scope: _Optional[_Union[ContainerScope, _Mapping]] = ..., container_id: _Optional[str] = ..., now: _Optional[bool] = ...) -> None: ...

class StopContainerReply(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: str
    def __init__(self, state: _Optional[str] = ...) -> None: ...

class ContainerLogsRequest(_message.Message):
    __slots__ = ("scope", "container_id", "after_seq", "follow", "app")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    scope: ContainerScope
    container_id: str
    after_seq: int
    follow: bool
    app: str
    def __init__(self, scope: _Optional[_Union[ContainerScope, _Mapping]] = ..., container_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., follow: _Optional[bool] = ..., app: _Optional[str] = ...) -> None: ...

class TerminalSize(_message.Message):
    __slots__ = ("rows", "columns")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    rows: int
    columns: int
    def __init__(self, rows: _Optional[int] = ..., columns: _Optional[int] = ...) -> None: ...

class ConsoleStart(_message.Message):
    __slots__ = ("scope", "container_id", "command", "terminal", "env", "ends_call")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    ENDS_CALL_FIELD_NUMBER: _ClassVar[int]
    scope: ContainerScope
    container_id: str
    command: _containers.RepeatedScalarFieldContainer[str]
    terminal: TerminalSize
    env: _containers.ScalarMap[str, str]
    ends_call: str
    def __init__(self, scope: _Optional[_Union[ContainerScope, _Mapping]] = ..., container_id: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., terminal: _Optional[_Union[TerminalSize, _Mapping]] = ..., env: _Optional[_Mapping[str, str]] = ..., ends_call: _Optional[str] = ...) -> None: ...

class ConsoleInput(_message.Message):
    __slots__ = ("start", "input", "input_end", "terminal", "signal")
    START_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    INPUT_END_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    start: ConsoleStart
    input: bytes
    input_end: bool
    terminal: TerminalSize
    signal: int
    def __init__(self, start: _Optional[_Union[ConsoleStart, _Mapping]] = ..., input: _Optional[bytes] = ..., input_end: _Optional[bool] = ..., terminal: _Optional[_Union[TerminalSize, _Mapping]] = ..., signal: _Optional[int] = ...) -> None: ...

class ConsoleOutput(_message.Message):
    __slots__ = ("output", "errors", "exit", "refused", "taken")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    output: bytes
    errors: bytes
    exit: int
    refused: str
    taken: int
    def __init__(self, output: _Optional[bytes] = ..., errors: _Optional[bytes] = ..., exit: _Optional[int] = ..., refused: _Optional[str] = ..., taken: _Optional[int] = ...) -> None: ...

class ConsoleAnswer(_message.Message):
    __slots__ = ("session_id", "output")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    output: ConsoleOutput
    def __init__(self, session_id: _Optional[str] = ..., output: _Optional[_Union[ConsoleOutput, _Mapping]] = ...) -> None: ...
