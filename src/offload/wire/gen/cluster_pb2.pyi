from offload.wire.gen import apps_pb2 as _apps_pb2
from offload.wire.gen import workers_pb2 as _workers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatusRequest(_message.Message):
    __slots__ = ("pending_limit",)
    PENDING_LIMIT_FIELD_NUMBER: _ClassVar[int]
    pending_limit: int
    def __init__(self, pending_limit: _Optional[int] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("worker_id", "name", "state", "capacity", "used", "labels", "runtimes", "connected_at", "version", "reason", "notes")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    RUNTIMES_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    name: str
    state: str
    capacity: _workers_pb2.Capacity
    used: _workers_pb2.Capacity
    labels: _containers.ScalarMap[str, str]
    runtimes: _containers.RepeatedScalarFieldContainer[str]
    connected_at: float
    version: str
    reason: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, worker_id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[str] = ..., capacity: _Optional[_Union[_workers_pb2.Capacity, _Mapping]] = ..., used: _Optional[_Union[_workers_pb2.Capacity, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., runtimes: _Optional[_Iterable[str]] = ..., connected_at: _Optional[float] = ..., version: _Optional[str] = ..., reason: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class ContainerStatus(_message.Message):
    __slots__ = ("container_id", "worker_id", "function_id", "function_name", "app_name", "state", "started_at", "inputs_in_hand")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    APP_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_IN_HAND_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    worker_id: str
    function_id: str
    function_name: str
    app_name: str
    state: str
    started_at: float
    inputs_in_hand: int
    def __init__(self, container_id: _Optional[str] = ..., worker_id: _Optional[str] = ..., function_id: _Optional[str] = ..., function_name: _Optional[str] = ..., app_name: _Optional[str] = ..., state: _Optional[str] = ..., started_at: _Optional[float] = ..., inputs_in_hand: _Optional[int] = ...) -> None: ...

class PendingInput(_message.Message):
    __slots__ = ("input_id", "call_id", "function_name", "app_name", "since", "reason")
    INPUT_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    APP_NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    input_id: str
    call_id: str
    function_name: str
    app_name: str
    since: float
    reason: str
    def __init__(self, input_id: _Optional[str] = ..., call_id: _Optional[str] = ..., function_name: _Optional[str] = ..., app_name: _Optional[str] = ..., since: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("version", "started_at", "data_dir", "workers", "containers", "pending", "pending_total", "running_total", "pools", "workspaces", "blocked_total")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    DATA_DIR_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    PENDING_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RUNNING_TOTAL_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    WORKSPACES_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    version: str
    started_at: float
    data_dir: str
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    containers: _containers.RepeatedCompositeFieldContainer[ContainerStatus]
    pending: _containers.RepeatedCompositeFieldContainer[PendingInput]
    pending_total: int
    running_total: int
    pools: _containers.RepeatedCompositeFieldContainer[_apps_pb2.PoolProgress]
    workspaces: _containers.RepeatedCompositeFieldContainer[WorkspaceStatus]
    blocked_total: int
    def __init__(self, version: _Optional[str] = ..., started_at: _Optional[float] = ..., data_dir: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., containers: _Optional[_Iterable[_Union[ContainerStatus, _Mapping]]] = ..., pending: _Optional[_Iterable[_Union[PendingInput, _Mapping]]] = ..., pending_total: _Optional[int] = ..., running_total: _Optional[int] = ..., pools: _Optional[_Iterable[_Union[_apps_pb2.PoolProgress, _Mapping]]] = ..., workspaces: _Optional[_Iterable[_Union[WorkspaceStatus, _Mapping]]] = ..., blocked_total: _Optional[int] = ...) -> None: ...

class WorkspaceStatus(_message.Message):
    __slots__ = ("name", "weight", "max_containers", "containers", "share", "pending")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: float
    max_containers: int
    containers: int
    share: float
    pending: int
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[float] = ..., max_containers: _Optional[int] = ..., containers: _Optional[int] = ..., share: _Optional[float] = ..., pending: _Optional[int] = ...) -> None: ...

class ShutDownRequest(_message.Message):
    __slots__ = ("workers", "reason")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    workers: bool
    reason: str
    def __init__(self, workers: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class ShutDownReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DrainWorkerRequest(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: str
    def __init__(self, worker: _Optional[str] = ...) -> None: ...

class DrainWorkerReply(_message.Message):
    __slots__ = ("worker_id",)
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    def __init__(self, worker_id: _Optional[str] = ...) -> None: ...
