from offload.wire.gen import apps_pb2 as _apps_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeploymentName(_message.Message):
    __slots__ = ("name", "workspace", "environment")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    workspace: str
    environment: str
    def __init__(self, name: _Optional[str] = ..., workspace: _Optional[str] = ..., environment: _Optional[str] = ...) -> None: ...

class DeployRequest(_message.Message):
    __slots__ = ("app", "functions", "source_digest", "tag", "app_tags", "deployed_by", "skip_check", "own_secrets")
    class AppTagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class OwnSecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: SecretValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[SecretValues, _Mapping]] = ...) -> None: ...
    APP_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    APP_TAGS_FIELD_NUMBER: _ClassVar[int]
    DEPLOYED_BY_FIELD_NUMBER: _ClassVar[int]
    SKIP_CHECK_FIELD_NUMBER: _ClassVar[int]
    OWN_SECRETS_FIELD_NUMBER: _ClassVar[int]
    app: DeploymentName
    functions: _containers.RepeatedCompositeFieldContainer[_apps_pb2.FunctionDefinition]
    source_digest: str
    tag: str
    app_tags: _containers.ScalarMap[str, str]
    deployed_by: str
    skip_check: bool
    own_secrets: _containers.MessageMap[str, SecretValues]
    def __init__(self, app: _Optional[_Union[DeploymentName, _Mapping]] = ..., functions: _Optional[_Iterable[_Union[_apps_pb2.FunctionDefinition, _Mapping]]] = ..., source_digest: _Optional[str] = ..., tag: _Optional[str] = ..., app_tags: _Optional[_Mapping[str, str]] = ..., deployed_by: _Optional[str] = ..., skip_check: _Optional[bool] = ..., own_secrets: _Optional[_Mapping[str, SecretValues]] = ...) -> None: ...

class SecretValues(_message.Message):
    __slots__ = ("values",)
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.ScalarMap[str, str]
    def __init__(self, values: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PrepareDeployRequest(_message.Message):
    __slots__ = ("host_id",)
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    host_id: str
    def __init__(self, host_id: _Optional[str] = ...) -> None: ...

class PrepareDeployReply(_message.Message):
    __slots__ = ("has_worker_on_host",)
    HAS_WORKER_ON_HOST_FIELD_NUMBER: _ClassVar[int]
    has_worker_on_host: bool
    def __init__(self, has_worker_on_host: _Optional[bool] = ...) -> None: ...

class DeployEvent(_message.Message):
    __slots__ = ("pools", "result")
    POOLS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    pools: _containers.RepeatedCompositeFieldContainer[_apps_pb2.PoolProgress]
    result: DeployResult
    def __init__(self, pools: _Optional[_Iterable[_Union[_apps_pb2.PoolProgress, _Mapping]]] = ..., result: _Optional[_Union[DeployResult, _Mapping]] = ...) -> None: ...

class DeployResult(_message.Message):
    __slots__ = ("version", "is_unchanged", "replaced_version", "app_id")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IS_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    REPLACED_VERSION_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    version: int
    is_unchanged: bool
    replaced_version: int
    app_id: str
    def __init__(self, version: _Optional[int] = ..., is_unchanged: _Optional[bool] = ..., replaced_version: _Optional[int] = ..., app_id: _Optional[str] = ...) -> None: ...

class ResolveRequest(_message.Message):
    __slots__ = ("app", "function", "version", "tag")
    APP_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    app: DeploymentName
    function: str
    version: int
    tag: str
    def __init__(self, app: _Optional[_Union[DeploymentName, _Mapping]] = ..., function: _Optional[str] = ..., version: _Optional[int] = ..., tag: _Optional[str] = ...) -> None: ...

class ResolveReply(_message.Message):
    __slots__ = ("function_id", "version", "is_generator", "app_id")
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IS_GENERATOR_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    version: int
    is_generator: bool
    app_id: str
    def __init__(self, function_id: _Optional[str] = ..., version: _Optional[int] = ..., is_generator: _Optional[bool] = ..., app_id: _Optional[str] = ...) -> None: ...

class ResolveClassRequest(_message.Message):
    __slots__ = ("app", "class_name", "version", "tag", "parameters", "changes", "changed")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _apps_pb2.ParameterValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_apps_pb2.ParameterValue, _Mapping]] = ...) -> None: ...
    APP_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    app: DeploymentName
    class_name: str
    version: int
    tag: str
    parameters: _containers.MessageMap[str, _apps_pb2.ParameterValue]
    changes: _apps_pb2.FunctionDefinition
    changed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, app: _Optional[_Union[DeploymentName, _Mapping]] = ..., class_name: _Optional[str] = ..., version: _Optional[int] = ..., tag: _Optional[str] = ..., parameters: _Optional[_Mapping[str, _apps_pb2.ParameterValue]] = ..., changes: _Optional[_Union[_apps_pb2.FunctionDefinition, _Mapping]] = ..., changed: _Optional[_Iterable[str]] = ...) -> None: ...

class ResolveClassReply(_message.Message):
    __slots__ = ("function_id", "version", "methods", "app_id")
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    version: int
    methods: _containers.RepeatedCompositeFieldContainer[_apps_pb2.ClassMethod]
    app_id: str
    def __init__(self, function_id: _Optional[str] = ..., version: _Optional[int] = ..., methods: _Optional[_Iterable[_Union[_apps_pb2.ClassMethod, _Mapping]]] = ..., app_id: _Optional[str] = ...) -> None: ...

class DeployedVersion(_message.Message):
    __slots__ = ("version", "app_id", "created_at", "tag", "deployed_by", "functions", "open_calls", "is_serving")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    DEPLOYED_BY_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    OPEN_CALLS_FIELD_NUMBER: _ClassVar[int]
    IS_SERVING_FIELD_NUMBER: _ClassVar[int]
    version: int
    app_id: str
    created_at: float
    tag: str
    deployed_by: str
    functions: _containers.RepeatedScalarFieldContainer[str]
    open_calls: int
    is_serving: bool
    def __init__(self, version: _Optional[int] = ..., app_id: _Optional[str] = ..., created_at: _Optional[float] = ..., tag: _Optional[str] = ..., deployed_by: _Optional[str] = ..., functions: _Optional[_Iterable[str]] = ..., open_calls: _Optional[int] = ..., is_serving: _Optional[bool] = ...) -> None: ...

class Deployment(_message.Message):
    __slots__ = ("app", "state", "version", "activated_at", "tags", "versions")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    APP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTIVATED_AT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    app: DeploymentName
    state: str
    version: int
    activated_at: float
    tags: _containers.ScalarMap[str, str]
    versions: _containers.RepeatedCompositeFieldContainer[DeployedVersion]
    def __init__(self, app: _Optional[_Union[DeploymentName, _Mapping]] = ..., state: _Optional[str] = ..., version: _Optional[int] = ..., activated_at: _Optional[float] = ..., tags: _Optional[_Mapping[str, str]] = ..., versions: _Optional[_Iterable[_Union[DeployedVersion, _Mapping]]] = ...) -> None: ...

class ListDeploymentsRequest(_message.Message):
    __slots__ = ("workspace", "environment")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    environment: str
    def __init__(self, workspace: _Optional[str] = ..., environment: _Optional[str] = ...) -> None: ...

class ListDeploymentsReply(_message.Message):
    __slots__ = ("deployments",)
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    deployments: _containers.RepeatedCompositeFieldContainer[Deployment]
    def __init__(self, deployments: _Optional[_Iterable[_Union[Deployment, _Mapping]]] = ...) -> None: ...

class DescribeDeploymentRequest(_message.Message):
    __slots__ = ("app",)
    APP_FIELD_NUMBER: _ClassVar[int]
    app: DeploymentName
    def __init__(self, app: _Optional[_Union[DeploymentName, _Mapping]] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("app", "version", "deployed_by")
    APP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYED_BY_FIELD_NUMBER: _ClassVar[int]
    app: DeploymentName
    version: int
    deployed_by: str
    def __init__(self, app: _Optional[_Union[DeploymentName, _Mapping]] = ..., version: _Optional[int] = ..., deployed_by: _Optional[str] = ...) -> None: ...

class StopDeploymentRequest(_message.Message):
    __slots__ = ("app", "cancel", "reason")
    APP_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    app: DeploymentName
    cancel: bool
    reason: str
    def __init__(self, app: _Optional[_Union[DeploymentName, _Mapping]] = ..., cancel: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class StopDeploymentReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetTagsRequest(_message.Message):
    __slots__ = ("app", "set", "remove", "version_tag", "version")
    class SetEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    APP_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    VERSION_TAG_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    app: DeploymentName
    set: _containers.ScalarMap[str, str]
    remove: _containers.RepeatedScalarFieldContainer[str]
    version_tag: str
    version: int
    def __init__(self, app: _Optional[_Union[DeploymentName, _Mapping]] = ..., set: _Optional[_Mapping[str, str]] = ..., remove: _Optional[_Iterable[str]] = ..., version_tag: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...
