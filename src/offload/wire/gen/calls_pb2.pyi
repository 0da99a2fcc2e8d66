from offload.wire.gen import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CallKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALL_KIND_UNSPECIFIED: _ClassVar[CallKind]
    CALL_KIND_SINGLE: _ClassVar[CallKind]
    CALL_KIND_MAP: _ClassVar[CallKind]
    CALL_KIND_GENERATOR: _ClassVar[CallKind]
CALL_KIND_UNSPECIFIED: CallKind
CALL_KIND_SINGLE: CallKind
CALL_KIND_MAP: CallKind
CALL_KIND_GENERATOR: CallKind

class Input(_message.Message):
    __slots__ = ("index", "args")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    index: int
    args: _common_pb2.Payload
    def __init__(self, index: _Optional[int] = ..., args: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ...) -> None: ...

class CallOptions(_message.Message):
    __slots__ = ("priority", "timeout_seconds", "after", "run_anyway", "idempotency_key", "delay_seconds", "start_at", "any_version")
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    RUN_ANYWAY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    DELAY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    ANY_VERSION_FIELD_NUMBER: _ClassVar[int]
    priority: int
    timeout_seconds: float
    after: _containers.RepeatedScalarFieldContainer[str]
    run_anyway: bool
    idempotency_key: str
    delay_seconds: float
    start_at: float
    any_version: bool
    def __init__(self, priority: _Optional[int] = ..., timeout_seconds: _Optional[float] = ..., after: _Optional[_Iterable[str]] = ..., run_anyway: _Optional[bool] = ..., idempotency_key: _Optional[str] = ..., delay_seconds: _Optional[float] = ..., start_at: _Optional[float] = ..., any_version: _Optional[bool] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("call_id", "function_id", "args", "is_repeat", "options")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    IS_REPEAT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    function_id: str
    args: _common_pb2.Payload
    is_repeat: bool
    options: CallOptions
    def __init__(self, call_id: _Optional[str] = ..., function_id: _Optional[str] = ..., args: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., is_repeat: _Optional[bool] = ..., options: _Optional[_Union[CallOptions, _Mapping]] = ...) -> None: ...

class RunReply(_message.Message):
    __slots__ = ("outcome", "input_id", "call_id")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    outcome: _common_pb2.Outcome
    input_id: str
    call_id: str
    def __init__(self, outcome: _Optional[_Union[_common_pb2.Outcome, _Mapping]] = ..., input_id: _Optional[str] = ..., call_id: _Optional[str] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("call_id", "function_id", "kind", "inputs", "closed", "attached", "is_repeat", "options")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_FIELD_NUMBER: _ClassVar[int]
    IS_REPEAT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    function_id: str
    kind: CallKind
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    closed: bool
    attached: bool
    is_repeat: bool
    options: CallOptions
    def __init__(self, call_id: _Optional[str] = ..., function_id: _Optional[str] = ..., kind: _Optional[_Union[CallKind, str]] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., closed: _Optional[bool] = ..., attached: _Optional[bool] = ..., is_repeat: _Optional[bool] = ..., options: _Optional[_Union[CallOptions, _Mapping]] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("call_id",)
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    def __init__(self, call_id: _Optional[str] = ...) -> None: ...

class SubmitGraphRequest(_message.Message):
    __slots__ = ("calls",)
    CALLS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[SubmitRequest]
    def __init__(self, calls: _Optional[_Iterable[_Union[SubmitRequest, _Mapping]]] = ...) -> None: ...

class SubmitGraphReply(_message.Message):
    __slots__ = ("call_ids",)
    CALL_IDS_FIELD_NUMBER: _ClassVar[int]
    call_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, call_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class AddInputsRequest(_message.Message):
    __slots__ = ("call_id", "inputs", "close")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    close: bool
    def __init__(self, call_id: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., close: _Optional[bool] = ...) -> None: ...

class AddInputsReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OutcomesRequest(_message.Message):
    __slots__ = ("call_id", "after_seq")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    after_seq: int
    def __init__(self, call_id: _Optional[str] = ..., after_seq: _Optional[int] = ...) -> None: ...

class IndexedOutcome(_message.Message):
    __slots__ = ("seq", "index", "outcome")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    seq: int
    index: int
    outcome: _common_pb2.Outcome
    def __init__(self, seq: _Optional[int] = ..., index: _Optional[int] = ..., outcome: _Optional[_Union[_common_pb2.Outcome, _Mapping]] = ...) -> None: ...

class OutcomeBatch(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[IndexedOutcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[IndexedOutcome, _Mapping]]] = ...) -> None: ...

class ItemsRequest(_message.Message):
    __slots__ = ("call_id", "index", "after_item")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    AFTER_ITEM_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    index: int
    after_item: int
    def __init__(self, call_id: _Optional[str] = ..., index: _Optional[int] = ..., after_item: _Optional[int] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("seq", "value")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    seq: int
    value: _common_pb2.Payload
    def __init__(self, seq: _Optional[int] = ..., value: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ...) -> None: ...

class ItemBatch(_message.Message):
    __slots__ = ("items", "outcome")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    outcome: _common_pb2.Outcome
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ..., outcome: _Optional[_Union[_common_pb2.Outcome, _Mapping]] = ...) -> None: ...

class InputDescription(_message.Message):
    __slots__ = ("index", "input_id", "state", "attempts", "reason", "worker_id", "container_id")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    index: int
    input_id: str
    state: _common_pb2.InputState
    attempts: int
    reason: str
    worker_id: str
    container_id: str
    def __init__(self, index: _Optional[int] = ..., input_id: _Optional[str] = ..., state: _Optional[_Union[_common_pb2.InputState, str]] = ..., attempts: _Optional[int] = ..., reason: _Optional[str] = ..., worker_id: _Optional[str] = ..., container_id: _Optional[str] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ("call_id", "input_limit")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    input_limit: int
    def __init__(self, call_id: _Optional[str] = ..., input_limit: _Optional[int] = ...) -> None: ...

class CallDescription(_message.Message):
    __slots__ = ("call_id", "app_id", "app_name", "function_id", "function_name", "kind", "created_at", "finished_at", "closed", "state", "counts", "inputs", "options", "waiting_reason")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    APP_NAME_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    app_id: str
    app_name: str
    function_id: str
    function_name: str
    kind: CallKind
    created_at: float
    finished_at: float
    closed: bool
    state: str
    counts: _containers.ScalarMap[str, int]
    inputs: _containers.RepeatedCompositeFieldContainer[InputDescription]
    options: CallOptions
    waiting_reason: str
    def __init__(self, call_id: _Optional[str] = ..., app_id: _Optional[str] = ..., app_name: _Optional[str] = ..., function_id: _Optional[str] = ..., function_name: _Optional[str] = ..., kind: _Optional[_Union[CallKind, str]] = ..., created_at: _Optional[float] = ..., finished_at: _Optional[float] = ..., closed: _Optional[bool] = ..., state: _Optional[str] = ..., counts: _Optional[_Mapping[str, int]] = ..., inputs: _Optional[_Iterable[_Union[InputDescription, _Mapping]]] = ..., options: _Optional[_Union[CallOptions, _Mapping]] = ..., waiting_reason: _Optional[str] = ...) -> None: ...

class ListCallsRequest(_message.Message):
    __slots__ = ("app_id", "open_only", "limit")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    OPEN_ONLY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    open_only: bool
    limit: int
    def __init__(self, app_id: _Optional[str] = ..., open_only: _Optional[bool] = ..., limit: _Optional[int] = ...) -> None: ...

class ListCallsReply(_message.Message):
    __slots__ = ("calls",)
    CALLS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[CallDescription]
    def __init__(self, calls: _Optional[_Iterable[_Union[CallDescription, _Mapping]]] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("call_id", "reason")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    reason: str
    def __init__(self, call_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelReply(_message.Message):
    __slots__ = ("cancelled_inputs",)
    CANCELLED_INPUTS_FIELD_NUMBER: _ClassVar[int]
    cancelled_inputs: int
    def __init__(self, cancelled_inputs: _Optional[int] = ...) -> None: ...

class LogsRequest(_message.Message):
    __slots__ = ("call_id", "app_id", "after_seq", "follow")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    app_id: str
    after_seq: int
    follow: bool
    def __init__(self, call_id: _Optional[str] = ..., app_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class LogBatch(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[_common_pb2.LogLine]
    def __init__(self, lines: _Optional[_Iterable[_Union[_common_pb2.LogLine, _Mapping]]] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("app_id", "limit")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    limit: int
    def __init__(self, app_id: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("input_id", "call_id", "index", "app_name", "function_name", "attempts", "at", "reason")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    APP_NAME_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    call_id: str
    index: int
    app_name: str
    function_name: str
    attempts: int
    at: float
    reason: str
    def __init__(self, input_id: _Optional[str] = ..., call_id: _Optional[str] = ..., index: _Optional[int] = ..., app_name: _Optional[str] = ..., function_name: _Optional[str] = ..., attempts: _Optional[int] = ..., at: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class ListDeadLettersReply(_message.Message):
    __slots__ = ("letters", "total")
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    letters: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    total: int
    def __init__(self, letters: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class DeadLettersRequest(_message.Message):
    __slots__ = ("input_ids", "all", "app_id")
    INPUT_IDS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    input_ids: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    app_id: str
    def __init__(self, input_ids: _Optional[_Iterable[str]] = ..., all: _Optional[bool] = ..., app_id: _Optional[str] = ...) -> None: ...

class Replay(_message.Message):
    __slots__ = ("input_id", "call_id")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    call_id: str
    def __init__(self, input_id: _Optional[str] = ..., call_id: _Optional[str] = ...) -> None: ...

class ReplayDeadLettersReply(_message.Message):
    __slots__ = ("replays",)
    REPLAYS_FIELD_NUMBER: _ClassVar[int]
    replays: _containers.RepeatedCompositeFieldContainer[Replay]
    def __init__(self, replays: _Optional[_Iterable[_Union[Replay, _Mapping]]] = ...) -> None: ...

class DropDeadLettersReply(_message.Message):
    __slots__ = ("dropped",)
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    dropped: int
    def __init__(self, dropped: _Optional[int] = ...) -> None: ...
