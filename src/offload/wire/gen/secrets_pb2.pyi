from offload.wire.gen import objects_pb2 as _objects_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PutSecretRequest(_message.Message):
    __slots__ = ("scope", "name", "object_id", "values", "may_replace", "app_id")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MAY_REPLACE_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    scope: _objects_pb2.ObjectScope
    name: str
    object_id: str
    values: _containers.ScalarMap[str, str]
    may_replace: bool
    app_id: str
    def __init__(self, scope: _Optional[_Union[_objects_pb2.ObjectScope, _Mapping]] = ..., name: _Optional[str] = ..., object_id: _Optional[str] = ..., values: _Optional[_Mapping[str, str]] = ..., may_replace: _Optional[bool] = ..., app_id: _Optional[str] = ...) -> None: ...

class SecretSummary(_message.Message):
    __slots__ = ("object", "keys", "updated_at")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    object: _objects_pb2.ObjectSummary
    keys: _containers.RepeatedScalarFieldContainer[str]
    updated_at: float
    def __init__(self, object: _Optional[_Union[_objects_pb2.ObjectSummary, _Mapping]] = ..., keys: _Optional[_Iterable[str]] = ..., updated_at: _Optional[float] = ...) -> None: ...

class ListSecretsRequest(_message.Message):
    __slots__ = ("scope", "after_name", "limit")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    AFTER_NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    scope: _objects_pb2.ObjectScope
    after_name: str
    limit: int
    def __init__(self, scope: _Optional[_Union[_objects_pb2.ObjectScope, _Mapping]] = ..., after_name: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListSecretsReply(_message.Message):
    __slots__ = ("secrets",)
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    secrets: _containers.RepeatedCompositeFieldContainer[SecretSummary]
    def __init__(self, secrets: _Optional[_Iterable[_Union[SecretSummary, _Mapping]]] = ...) -> None: ...

class FindSecretRequest(_message.Message):
    __slots__ = ("scope", "name", "required_keys")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_KEYS_FIELD_NUMBER: _ClassVar[int]
    scope: _objects_pb2.ObjectScope
    name: str
    required_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, scope: _Optional[_Union[_objects_pb2.ObjectScope, _Mapping]] = ..., name: _Optional[str] = ..., required_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class RevealSecretsRequest(_message.Message):
    __slots__ = ("container_id", "function_id")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    function_id: str
    def __init__(self, container_id: _Optional[str] = ..., function_id: _Optional[str] = ...) -> None: ...

class RevealSecretsReply(_message.Message):
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

class RotateSecretKeyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RotateSecretKeyReply(_message.Message):
    __slots__ = ("secrets",)
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    secrets: int
    def __init__(self, secrets: _Optional[int] = ...) -> None: ...
