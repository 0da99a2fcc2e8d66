from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InputState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_STATE_UNSPECIFIED: _ClassVar[InputState]
    INPUT_STATE_BLOCKED: _ClassVar[InputState]
    INPUT_STATE_READY: _ClassVar[InputState]
    INPUT_STATE_ASSIGNED: _ClassVar[InputState]
    INPUT_STATE_RUNNING: _ClassVar[InputState]
    INPUT_STATE_SUCCEEDED: _ClassVar[InputState]
    INPUT_STATE_FAILED: _ClassVar[InputState]
    INPUT_STATE_TIMED_OUT: _ClassVar[InputState]
    INPUT_STATE_CANCELLED: _ClassVar[InputState]
    INPUT_STATE_LOST: _ClassVar[InputState]

class FailureKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_KIND_UNSPECIFIED: _ClassVar[FailureKind]
    FAILURE_KIND_EXCEPTION: _ClassVar[FailureKind]
    FAILURE_KIND_TIMEOUT: _ClassVar[FailureKind]
    FAILURE_KIND_OUT_OF_MEMORY: _ClassVar[FailureKind]
    FAILURE_KIND_SIGNAL: _ClassVar[FailureKind]
    FAILURE_KIND_EXIT: _ClassVar[FailureKind]
    FAILURE_KIND_START: _ClassVar[FailureKind]
    FAILURE_KIND_WORKER_LOST: _ClassVar[FailureKind]
    FAILURE_KIND_CANCELLED: _ClassVar[FailureKind]
    FAILURE_KIND_DEPENDENCY: _ClassVar[FailureKind]
INPUT_STATE_UNSPECIFIED: InputState
INPUT_STATE_BLOCKED: InputState
INPUT_STATE_READY: InputState
INPUT_STATE_ASSIGNED: InputState
INPUT_STATE_RUNNING: InputState
INPUT_STATE_SUCCEEDED: InputState
INPUT_STATE_FAILED: InputState
INPUT_STATE_TIMED_OUT: InputState
INPUT_STATE_CANCELLED: InputState
INPUT_STATE_LOST: InputState
FAILURE_KIND_UNSPECIFIED: FailureKind
FAILURE_KIND_EXCEPTION: FailureKind
FAILURE_KIND_TIMEOUT: FailureKind
FAILURE_KIND_OUT_OF_MEMORY: FailureKind
FAILURE_KIND_SIGNAL: FailureKind
FAILURE_KIND_EXIT: FailureKind
FAILURE_KIND_START: FailureKind
FAILURE_KIND_WORKER_LOST: FailureKind
FAILURE_KIND_CANCELLED: FailureKind
FAILURE_KIND_DEPENDENCY: FailureKind

class BlobRef(_message.Message):
    __slots__ = ("sha256", "size_bytes")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    size_bytes: int
    def __init__(self, sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class Payload(_message.Message):
    __slots__ = ("encoding", "inline", "blob")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    encoding: str
    inline: bytes
    blob: BlobRef
    def __init__(self, encoding: _Optional[str] = ..., inline: _Optional[bytes] = ..., blob: _Optional[_Union[BlobRef, _Mapping]] = ...) -> None: ...

class TracebackFrame(_message.Message):
    __slots__ = ("file", "line", "function", "text")
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    file: str
    line: int
    function: str
    text: str
    def __init__(self, file: _Optional[str] = ..., line: _Optional[int] = ..., function: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("kind", "reason", "type_name", "message", "frames", "exception", "exit_code", "signal", "last_lines")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TYPE_NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    LAST_LINES_FIELD_NUMBER: _ClassVar[int]
    kind: FailureKind
    reason: str
    type_name: str
    message: str
    frames: _containers.RepeatedCompositeFieldContainer[TracebackFrame]
    exception: Payload
    exit_code: int
    signal: int
    last_lines: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[_Union[FailureKind, str]] = ..., reason: _Optional[str] = ..., type_name: _Optional[str] = ..., message: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[TracebackFrame, _Mapping]]] = ..., exception: _Optional[_Union[Payload, _Mapping]] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., last_lines: _Optional[_Iterable[str]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("state", "value", "failure", "item_count", "started_at", "run_seconds")
    STATE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    RUN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    state: InputState
    value: Payload
    failure: Failure
    item_count: int
    started_at: float
    run_seconds: float
    def __init__(self, state: _Optional[_Union[InputState, str]] = ..., value: _Optional[_Union[Payload, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., item_count: _Optional[int] = ..., started_at: _Optional[float] = ..., run_seconds: _Optional[float] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("at", "app_id", "call_id", "input_id", "container_id", "stream", "text", "seq", "function_name")
    AT_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    at: float
    app_id: str
    call_id: str
    input_id: str
    container_id: str
    stream: str
    text: str
    seq: int
    function_name: str
    def __init__(self, at: _Optional[float] = ..., app_id: _Optional[str] = ..., call_id: _Optional[str] = ..., input_id: _Optional[str] = ..., container_id: _Optional[str] = ..., stream: _Optional[str] = ..., text: _Optional[str] = ..., seq: _Optional[int] = ..., function_name: _Optional[str] = ...) -> None: ...
