from offload.wire.gen import common_pb2 as _common_pb2
from offload.wire.gen import endpoints_pb2 as _endpoints_pb2
from offload.wire.gen import images_pb2 as _images_pb2
from offload.wire.gen import schedules_pb2 as _schedules_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateAppRequest(_message.Message):
    __slots__ = ("name", "app_id", "workspace", "environment", "host_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    app_id: str
    workspace: str
    environment: str
    host_id: str
    def __init__(self, name: _Optional[str] = ..., app_id: _Optional[str] = ..., workspace: _Optional[str] = ..., environment: _Optional[str] = ..., host_id: _Optional[str] = ...) -> None: ...

class CreateAppReply(_message.Message):
    __slots__ = ("app_id", "lease_seconds", "has_worker_on_host")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    HAS_WORKER_ON_HOST_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    lease_seconds: float
    has_worker_on_host: bool
    def __init__(self, app_id: _Optional[str] = ..., lease_seconds: _Optional[float] = ..., has_worker_on_host: _Optional[bool] = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("max_retries", "initial_delay_seconds", "backoff_coefficient", "max_delay_seconds")
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    INITIAL_DELAY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_COEFFICIENT_FIELD_NUMBER: _ClassVar[int]
    MAX_DELAY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    max_retries: int
    initial_delay_seconds: float
    backoff_coefficient: float
    max_delay_seconds: float
    def __init__(self, max_retries: _Optional[int] = ..., initial_delay_seconds: _Optional[float] = ..., backoff_coefficient: _Optional[float] = ..., max_delay_seconds: _Optional[float] = ...) -> None: ...

class GpuRequest(_message.Message):
    __slots__ = ("count", "kind")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    count: int
    kind: str
    def __init__(self, count: _Optional[int] = ..., kind: _Optional[str] = ...) -> None: ...

class AllowList(_message.Message):
    __slots__ = ("cidrs", "domains")
    CIDRS_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    cidrs: _containers.RepeatedScalarFieldContainer[str]
    domains: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cidrs: _Optional[_Iterable[str]] = ..., domains: _Optional[_Iterable[str]] = ...) -> None: ...

class LocalImage(_message.Message):
    __slots__ = ("host_id", "python", "sys_path", "read_only_paths", "working_dir")
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    SYS_PATH_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_PATHS_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIR_FIELD_NUMBER: _ClassVar[int]
    host_id: str
    python: str
    sys_path: _containers.RepeatedScalarFieldContainer[str]
    read_only_paths: _containers.RepeatedScalarFieldContainer[str]
    working_dir: str
    def __init__(self, host_id: _Optional[str] = ..., python: _Optional[str] = ..., sys_path: _Optional[_Iterable[str]] = ..., read_only_paths: _Optional[_Iterable[str]] = ..., working_dir: _Optional[str] = ...) -> None: ...

class VolumeMount(_message.Message):
    __slots__ = ("volume_id", "path", "read_only", "sub_path")
    VOLUME_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    SUB_PATH_FIELD_NUMBER: _ClassVar[int]
    volume_id: str
    path: str
    read_only: bool
    sub_path: str
    def __init__(self, volume_id: _Optional[str] = ..., path: _Optional[str] = ..., read_only: _Optional[bool] = ..., sub_path: _Optional[str] = ...) -> None: ...

class Concurrency(_message.Message):
    __slots__ = ("max_inputs", "target_inputs")
    MAX_INPUTS_FIELD_NUMBER: _ClassVar[int]
    TARGET_INPUTS_FIELD_NUMBER: _ClassVar[int]
    max_inputs: int
    target_inputs: int
    def __init__(self, max_inputs: _Optional[int] = ..., target_inputs: _Optional[int] = ...) -> None: ...

class Batching(_message.Message):
    __slots__ = ("max_batch_size", "wait_seconds")
    MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    max_batch_size: int
    wait_seconds: float
    def __init__(self, max_batch_size: _Optional[int] = ..., wait_seconds: _Optional[float] = ...) -> None: ...

class ParameterValue(_message.Message):
    __slots__ = ("text", "number", "flag", "data")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: str
    flag: bool
    data: bytes
    def __init__(self, text: _Optional[str] = ..., number: _Optional[str] = ..., flag: _Optional[bool] = ..., data: _Optional[bytes] = ...) -> None: ...

class ClassParameter(_message.Message):
    __slots__ = ("name", "type", "default", "is_settable")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    IS_SETTABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    default: ParameterValue
    is_settable: bool
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., default: _Optional[_Union[ParameterValue, _Mapping]] = ..., is_settable: _Optional[bool] = ...) -> None: ...

class ClassMethod(_message.Message):
    __slots__ = ("name", "is_generator")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IS_GENERATOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    is_generator: bool
    def __init__(self, name: _Optional[str] = ..., is_generator: _Optional[bool] = ...) -> None: ...

class ClassShape(_message.Message):
    __slots__ = ("parameters", "methods")
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    parameters: _containers.RepeatedCompositeFieldContainer[ClassParameter]
    methods: _containers.RepeatedCompositeFieldContainer[ClassMethod]
    def __init__(self, parameters: _Optional[_Iterable[_Union[ClassParameter, _Mapping]]] = ..., methods: _Optional[_Iterable[_Union[ClassMethod, _Mapping]]] = ...) -> None: ...

class FunctionDefinition(_message.Message):
    __slots__ = ("function_id", "app_id", "name", "code", "is_generator", "cpu_milli", "memory_mib", "timeout_seconds", "startup_timeout_seconds", "retries", "min_containers", "max_containers", "scaledown_window_seconds", "runtime", "block_network", "local_image", "env", "python_version", "buffer_containers", "gpu", "labels", "image", "volumes", "cpu_limit_milli", "memory_limit_mib", "ephemeral_disk_mib", "concurrency", "batching", "single_use_containers", "allow_list", "restrict_platform_access", "is_variant", "secrets", "code_digest", "class_shape", "parameters", "web", "schedule", "image_elsewhere")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ParameterValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ParameterValue, _Mapping]] = ...) -> None: ...
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    IS_GENERATOR_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    STARTUP_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    MIN_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    SCALEDOWN_WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    BLOCK_NETWORK_FIELD_NUMBER: _ClassVar[int]
    LOCAL_IMAGE_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    BUFFER_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    CPU_LIMIT_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_MIB_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_DISK_MIB_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    BATCHING_FIELD_NUMBER: _ClassVar[int]
    SINGLE_USE_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_LIST_FIELD_NUMBER: _ClassVar[int]
    RESTRICT_PLATFORM_ACCESS_FIELD_NUMBER: _ClassVar[int]
    IS_VARIANT_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    CODE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLASS_SHAPE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    WEB_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    app_id: str
    name: str
    code: _common_pb2.Payload
    is_generator: bool
    cpu_milli: int
    memory_mib: int
    timeout_seconds: float
    startup_timeout_seconds: float
    retries: RetryPolicy
    min_containers: int
    max_containers: int
    scaledown_window_seconds: float
    runtime: str
    block_network: bool
    local_image: LocalImage
    env: _containers.ScalarMap[str, str]
    python_version: str
    buffer_containers: int
    gpu: GpuRequest
    labels: _containers.ScalarMap[str, str]
    image: _images_pb2.Image
    volumes: _containers.RepeatedCompositeFieldContainer[VolumeMount]
    cpu_limit_milli: int
    memory_limit_mib: int
    ephemeral_disk_mib: int
    concurrency: Concurrency
    batching: Batching
    single_use_containers: bool
    allow_list: AllowList
    restrict_platform_access: bool
    is_variant: bool
    secrets: _containers.RepeatedScalarFieldContainer[str]
    code_digest: str
    class_shape: ClassShape
    parameters: _containers.MessageMap[str, ParameterValue]
    web: _containers.RepeatedCompositeFieldContainer[_endpoints_pb2.WebEndpoint]
    schedule: _schedules_pb2.Schedule
    image_elsewhere: _images_pb2.Image
    def __init__(self, function_id: _Optional[str] = ..., app_id: _Optional[str] = ..., name: _Optional[str] = ..., code: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., is_generator: _Optional[bool] = ..., cpu_milli: _Optional[int] = ..., memory_mib: _Optional[int] = ..., timeout_seconds: _Optional[float] = ..., startup_timeout_seconds: _Optional[float] = ..., retries: _Optional[_Union[RetryPolicy, _Mapping]] = ..., min_containers: _Optional[int] = ..., max_containers: _Optional[int] = ..., scaledown_window_seconds: _Optional[float] = ..., runtime: _Optional[str] = ..., block_network: _Optional[bool] = ..., local_image: _Optional[_Union[LocalImage, _Mapping]] = ..., env: _Optional[_Mapping[str, str]] = ..., python_version: _Optional[str] = ..., buffer_containers: _Optional[int] = ..., gpu: _Optional[_Union[GpuRequest, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., image: _Optional[_Union[_images_pb2.Image, _Mapping]] = ..., volumes: _Optional[_Iterable[_Union[VolumeMount, _Mapping]]] = ..., cpu_limit_milli: _Optional[int] = ..., memory_limit_mib: _Optional[int] = ..., ephemeral_disk_mib: _Optional[int] = ..., concurrency: _Optional[_Union[Concurrency, _Mapping]] = ..., batching: _Optional[_Union[Batching, _Mapping]] = ..., single_use_containers: _Optional[bool] = ..., allow_list: _Optional[_Union[AllowList, _Mapping]] = ..., restrict_platform_access: _Optional[bool] = ..., is_variant: _Optional[bool] = ..., secrets: _Optional[_Iterable[str]] = ..., code_digest: _Optional[str] = ..., class_shape: _Optional[_Union[ClassShape, _Mapping]] = ..., parameters: _Optional[_Mapping[str, ParameterValue]] = ..., web: _Optional[_Iterable[_Union[_endpoints_pb2.WebEndpoint, _Mapping]]] = ..., schedule: _Optional[_Union[_schedules_pb2.Schedule, _Mapping]] = ..., image_elsewhere: _Optional[_Union[_images_pb2.Image, _Mapping]] = ...) -> None: ...

class RegisterFunctionsRequest(_message.Message):
    __slots__ = ("app_id", "functions")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    functions: _containers.RepeatedCompositeFieldContainer[FunctionDefinition]
    def __init__(self, app_id: _Optional[str] = ..., functions: _Optional[_Iterable[_Union[FunctionDefinition, _Mapping]]] = ...) -> None: ...

class RegisterFunctionsReply(_message.Message):
    __slots__ = ("function_ids",)
    FUNCTION_IDS_FIELD_NUMBER: _ClassVar[int]
    function_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, function_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class AttachRequest(_message.Message):
    __slots__ = ("app_id", "after_log_seq")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_LOG_SEQ_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    after_log_seq: int
    def __init__(self, app_id: _Optional[str] = ..., after_log_seq: _Optional[int] = ...) -> None: ...

class PoolProgress(_message.Message):
    __slots__ = ("function_id", "function_name", "containers_starting", "containers_ready", "inputs_pending", "inputs_running", "waiting_reason", "inputs_finished", "is_impossible")
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_STARTING_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_READY_FIELD_NUMBER: _ClassVar[int]
    INPUTS_PENDING_FIELD_NUMBER: _ClassVar[int]
    INPUTS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FINISHED_FIELD_NUMBER: _ClassVar[int]
    IS_IMPOSSIBLE_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    function_name: str
    containers_starting: int
    containers_ready: int
    inputs_pending: int
    inputs_running: int
    waiting_reason: str
    inputs_finished: int
    is_impossible: bool
    def __init__(self, function_id: _Optional[str] = ..., function_name: _Optional[str] = ..., containers_starting: _Optional[int] = ..., containers_ready: _Optional[int] = ..., inputs_pending: _Optional[int] = ..., inputs_running: _Optional[int] = ..., waiting_reason: _Optional[str] = ..., inputs_finished: _Optional[int] = ..., is_impossible: _Optional[bool] = ...) -> None: ...

class AppEvents(_message.Message):
    __slots__ = ("logs", "pools", "wanted_functions")
    LOGS_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    WANTED_FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    logs: _containers.RepeatedCompositeFieldContainer[_common_pb2.LogLine]
    pools: _containers.RepeatedCompositeFieldContainer[PoolProgress]
    wanted_functions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, logs: _Optional[_Iterable[_Union[_common_pb2.LogLine, _Mapping]]] = ..., pools: _Optional[_Iterable[_Union[PoolProgress, _Mapping]]] = ..., wanted_functions: _Optional[_Iterable[str]] = ...) -> None: ...

class StopAppRequest(_message.Message):
    __slots__ = ("app_id", "cancel", "reason", "linger_seconds")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LINGER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    cancel: bool
    reason: str
    linger_seconds: float
    def __init__(self, app_id: _Optional[str] = ..., cancel: _Optional[bool] = ..., reason: _Optional[str] = ..., linger_seconds: _Optional[float] = ...) -> None: ...

class StopAppReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAppsRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class AppSummary(_message.Message):
    __slots__ = ("app_id", "name", "state", "created_at", "open_calls", "workspace", "environment")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    OPEN_CALLS_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    name: str
    state: str
    created_at: float
    open_calls: int
    workspace: str
    environment: str
    def __init__(self, app_id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[str] = ..., created_at: _Optional[float] = ..., open_calls: _Optional[int] = ..., workspace: _Optional[str] = ..., environment: _Optional[str] = ...) -> None: ...

class ListAppsReply(_message.Message):
    __slots__ = ("apps",)
    APPS_FIELD_NUMBER: _ClassVar[int]
    apps: _containers.RepeatedCompositeFieldContainer[AppSummary]
    def __init__(self, apps: _Optional[_Iterable[_Union[AppSummary, _Mapping]]] = ...) -> None: ...

class FindFunctionRequest(_message.Message):
    __slots__ = ("app_id", "app_name", "name", "class_name", "parameters")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ParameterValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ParameterValue, _Mapping]] = ...) -> None: ...
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    APP_NAME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    app_name: str
    name: str
    class_name: str
    parameters: _containers.MessageMap[str, ParameterValue]
    def __init__(self, app_id: _Optional[str] = ..., app_name: _Optional[str] = ..., name: _Optional[str] = ..., class_name: _Optional[str] = ..., parameters: _Optional[_Mapping[str, ParameterValue]] = ...) -> None: ...

class FindFunctionReply(_message.Message):
    __slots__ = ("function_id", "is_generator")
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    IS_GENERATOR_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    is_generator: bool
    def __init__(self, function_id: _Optional[str] = ..., is_generator: _Optional[bool] = ...) -> None: ...

class UpdateAutoscalerRequest(_message.Message):
    __slots__ = ("function_id", "min_containers", "max_containers", "buffer_containers", "scaledown_window_seconds")
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    BUFFER_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    SCALEDOWN_WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    min_containers: int
    max_containers: int
    buffer_containers: int
    scaledown_window_seconds: float
    def __init__(self, function_id: _Optional[str] = ..., min_containers: _Optional[int] = ..., max_containers: _Optional[int] = ..., buffer_containers: _Optional[int] = ..., scaledown_window_seconds: _Optional[float] = ...) -> None: ...

class UpdateAutoscalerReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
