from offload.wire.gen import common_pb2 as _common_pb2
from offload.wire.gen import apps_pb2 as _apps_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContainerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTAINER_STATE_UNSPECIFIED: _ClassVar[ContainerState]
    CONTAINER_STATE_STARTING: _ClassVar[ContainerState]
    CONTAINER_STATE_READY: _ClassVar[ContainerState]
    CONTAINER_STATE_STOPPED: _ClassVar[ContainerState]
    CONTAINER_STATE_FAILED: _ClassVar[ContainerState]
    CONTAINER_STATE_DIED: _ClassVar[ContainerState]
    CONTAINER_STATE_STOPPING: _ClassVar[ContainerState]
CONTAINER_STATE_UNSPECIFIED: ContainerState
CONTAINER_STATE_STARTING: ContainerState
CONTAINER_STATE_READY: ContainerState
CONTAINER_STATE_STOPPED: ContainerState
CONTAINER_STATE_FAILED: ContainerState
CONTAINER_STATE_DIED: ContainerState
CONTAINER_STATE_STOPPING: ContainerState

class Gpu(_message.Message):
    __slots__ = ("index", "kind")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    index: int
    kind: str
    def __init__(self, index: _Optional[int] = ..., kind: _Optional[str] = ...) -> None: ...

class Capacity(_message.Message):
    __slots__ = ("cpu_milli", "memory_mib", "gpus")
    CPU_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    cpu_milli: int
    memory_mib: int
    gpus: _containers.RepeatedCompositeFieldContainer[Gpu]
    def __init__(self, cpu_milli: _Optional[int] = ..., memory_mib: _Optional[int] = ..., gpus: _Optional[_Iterable[_Union[Gpu, _Mapping]]] = ...) -> None: ...

class HeldInput(_message.Message):
    __slots__ = ("input_id", "attempt", "function_id")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    attempt: int
    function_id: str
    def __init__(self, input_id: _Optional[str] = ..., attempt: _Optional[int] = ..., function_id: _Optional[str] = ...) -> None: ...

class ContainerReport(_message.Message):
    __slots__ = ("container_id", "function_id", "state", "failure", "inputs_in_hand", "gpu_indices", "progress", "hopeless")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_IN_HAND_FIELD_NUMBER: _ClassVar[int]
    GPU_INDICES_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    HOPELESS_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    function_id: str
    state: ContainerState
    failure: _common_pb2.Failure
    inputs_in_hand: int
    gpu_indices: _containers.RepeatedScalarFieldContainer[int]
    progress: str
    hopeless: bool
    def __init__(self, container_id: _Optional[str] = ..., function_id: _Optional[str] = ..., state: _Optional[_Union[ContainerState, str]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., inputs_in_hand: _Optional[int] = ..., gpu_indices: _Optional[_Iterable[int]] = ..., progress: _Optional[str] = ..., hopeless: _Optional[bool] = ...) -> None: ...

class RuntimeAbilities(_message.Message):
    __slots__ = ("runtime", "abilities")
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    ABILITIES_FIELD_NUMBER: _ClassVar[int]
    runtime: str
    abilities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, runtime: _Optional[str] = ..., abilities: _Optional[_Iterable[str]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("worker_id", "name", "version", "host_id", "capacity", "labels", "runtimes", "held", "containers", "abilities", "notes")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    RUNTIMES_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    ABILITIES_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    name: str
    version: str
    host_id: str
    capacity: Capacity
    labels: _containers.ScalarMap[str, str]
    runtimes: _containers.RepeatedScalarFieldContainer[str]
    held: _containers.RepeatedCompositeFieldContainer[HeldInput]
    containers: _containers.RepeatedCompositeFieldContainer[ContainerReport]
    abilities: _containers.RepeatedCompositeFieldContainer[RuntimeAbilities]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, worker_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., host_id: _Optional[str] = ..., capacity: _Optional[_Union[Capacity, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., runtimes: _Optional[_Iterable[str]] = ..., held: _Optional[_Iterable[_Union[HeldInput, _Mapping]]] = ..., containers: _Optional[_Iterable[_Union[ContainerReport, _Mapping]]] = ..., abilities: _Optional[_Iterable[_Union[RuntimeAbilities, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("function_id", "inputs")
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    inputs: int
    def __init__(self, function_id: _Optional[str] = ..., inputs: _Optional[int] = ...) -> None: ...

class InputStarted(_message.Message):
    __slots__ = ("input_id", "attempt", "container_id")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    attempt: int
    container_id: str
    def __init__(self, input_id: _Optional[str] = ..., attempt: _Optional[int] = ..., container_id: _Optional[str] = ...) -> None: ...

class InputResult(_message.Message):
    __slots__ = ("input_id", "attempt", "outcome")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    attempt: int
    outcome: _common_pb2.Outcome
    def __init__(self, input_id: _Optional[str] = ..., attempt: _Optional[int] = ..., outcome: _Optional[_Union[_common_pb2.Outcome, _Mapping]] = ...) -> None: ...

class InputItem(_message.Message):
    __slots__ = ("input_id", "attempt", "seq", "value")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    attempt: int
    seq: int
    value: _common_pb2.Payload
    def __init__(self, input_id: _Optional[str] = ..., attempt: _Optional[int] = ..., seq: _Optional[int] = ..., value: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ...) -> None: ...

class ReturnedInput(_message.Message):
    __slots__ = ("input_id", "attempt", "reason", "retry_alone")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_ALONE_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    attempt: int
    reason: str
    retry_alone: bool
    def __init__(self, input_id: _Optional[str] = ..., attempt: _Optional[int] = ..., reason: _Optional[str] = ..., retry_alone: _Optional[bool] = ...) -> None: ...

class WorkerMessage(_message.Message):
    __slots__ = ("seq", "hello", "windows", "containers", "started", "items", "results", "returned", "logs", "draining")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    seq: int
    hello: Hello
    windows: _containers.RepeatedCompositeFieldContainer[Window]
    containers: _containers.RepeatedCompositeFieldContainer[ContainerReport]
    started: _containers.RepeatedCompositeFieldContainer[InputStarted]
    items: _containers.RepeatedCompositeFieldContainer[InputItem]
    results: _containers.RepeatedCompositeFieldContainer[InputResult]
    returned: _containers.RepeatedCompositeFieldContainer[ReturnedInput]
    logs: _containers.RepeatedCompositeFieldContainer[_common_pb2.LogLine]
    draining: bool
    def __init__(self, seq: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., windows: _Optional[_Iterable[_Union[Window, _Mapping]]] = ..., containers: _Optional[_Iterable[_Union[ContainerReport, _Mapping]]] = ..., started: _Optional[_Iterable[_Union[InputStarted, _Mapping]]] = ..., items: _Optional[_Iterable[_Union[InputItem, _Mapping]]] = ..., results: _Optional[_Iterable[_Union[InputResult, _Mapping]]] = ..., returned: _Optional[_Iterable[_Union[ReturnedInput, _Mapping]]] = ..., logs: _Optional[_Iterable[_Union[_common_pb2.LogLine, _Mapping]]] = ..., draining: _Optional[bool] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("server_version", "heartbeat_seconds")
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    server_version: str
    heartbeat_seconds: float
    def __init__(self, server_version: _Optional[str] = ..., heartbeat_seconds: _Optional[float] = ...) -> None: ...

class StartContainer(_message.Message):
    __slots__ = ("container_id", "function_id", "gpu_indices")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    GPU_INDICES_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    function_id: str
    gpu_indices: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, container_id: _Optional[str] = ..., function_id: _Optional[str] = ..., gpu_indices: _Optional[_Iterable[int]] = ...) -> None: ...

class StopContainer(_message.Message):
    __slots__ = ("container_id", "grace_seconds")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    GRACE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    grace_seconds: float
    def __init__(self, container_id: _Optional[str] = ..., grace_seconds: _Optional[float] = ...) -> None: ...

class InputTask(_message.Message):
    __slots__ = ("input_id", "attempt", "args", "alone")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    ALONE_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    attempt: int
    args: _common_pb2.Payload
    alone: bool
    def __init__(self, input_id: _Optional[str] = ..., attempt: _Optional[int] = ..., args: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., alone: _Optional[bool] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("function_id", "inputs")
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    inputs: _containers.RepeatedCompositeFieldContainer[InputTask]
    def __init__(self, function_id: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[InputTask, _Mapping]]] = ...) -> None: ...

class CancelInput(_message.Message):
    __slots__ = ("input_id", "reason")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    reason: str
    def __init__(self, input_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class OpenConsole(_message.Message):
    __slots__ = ("session_id", "container_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    container_id: str
    def __init__(self, session_id: _Optional[str] = ..., container_id: _Optional[str] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("recorded_seq", "welcome", "functions", "start", "stop", "assignments", "cancels", "forget_functions", "shut_down", "consoles", "drain", "bring_blobs")
    RECORDED_SEQ_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    CANCELS_FIELD_NUMBER: _ClassVar[int]
    FORGET_FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    SHUT_DOWN_FIELD_NUMBER: _ClassVar[int]
    CONSOLES_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    BRING_BLOBS_FIELD_NUMBER: _ClassVar[int]
    recorded_seq: int
    welcome: Welcome
    functions: _containers.RepeatedCompositeFieldContainer[_apps_pb2.FunctionDefinition]
    start: _containers.RepeatedCompositeFieldContainer[StartContainer]
    stop: _containers.RepeatedCompositeFieldContainer[StopContainer]
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    cancels: _containers.RepeatedCompositeFieldContainer[CancelInput]
    forget_functions: _containers.RepeatedScalarFieldContainer[str]
    shut_down: bool
    consoles: _containers.RepeatedCompositeFieldContainer[OpenConsole]
    drain: bool
    bring_blobs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recorded_seq: _Optional[int] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., functions: _Optional[_Iterable[_Union[_apps_pb2.FunctionDefinition, _Mapping]]] = ..., start: _Optional[_Iterable[_Union[StartContainer, _Mapping]]] = ..., stop: _Optional[_Iterable[_Union[StopContainer, _Mapping]]] = ..., assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ..., cancels: _Optional[_Iterable[_Union[CancelInput, _Mapping]]] = ..., forget_functions: _Optional[_Iterable[str]] = ..., shut_down: _Optional[bool] = ..., consoles: _Optional[_Iterable[_Union[OpenConsole, _Mapping]]] = ..., drain: _Optional[bool] = ..., bring_blobs: _Optional[_Iterable[str]] = ...) -> None: ...
