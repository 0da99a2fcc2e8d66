from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ObjectKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OBJECT_KIND_UNSPECIFIED: _ClassVar[ObjectKind]
    OBJECT_KIND_DICT: _ClassVar[ObjectKind]
    OBJECT_KIND_QUEUE: _ClassVar[ObjectKind]
    OBJECT_KIND_VOLUME: _ClassVar[ObjectKind]
    OBJECT_KIND_SECRET: _ClassVar[ObjectKind]
OBJECT_KIND_UNSPECIFIED: ObjectKind
OBJECT_KIND_DICT: ObjectKind
OBJECT_KIND_QUEUE: ObjectKind
OBJECT_KIND_VOLUME: ObjectKind
OBJECT_KIND_SECRET: ObjectKind

class ObjectScope(_message.Message):
    __slots__ = ("workspace", "environment")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    environment: str
    def __init__(self, workspace: _Optional[str] = ..., environment: _Optional[str] = ...) -> None: ...

class OpenObjectRequest(_message.Message):
    __slots__ = ("kind", "scope", "name", "object_id", "create_if_missing", "app_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_IF_MISSING_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    kind: ObjectKind
    scope: ObjectScope
    name: str
    object_id: str
    create_if_missing: bool
    app_id: str
    def __init__(self, kind: _Optional[_Union[ObjectKind, str]] = ..., scope: _Optional[_Union[ObjectScope, _Mapping]] = ..., name: _Optional[str] = ..., object_id: _Optional[str] = ..., create_if_missing: _Optional[bool] = ..., app_id: _Optional[str] = ...) -> None: ...

class ObjectSummary(_message.Message):
    __slots__ = ("object_id", "kind", "scope", "name", "created_at", "last_used_at")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    kind: ObjectKind
    scope: ObjectScope
    name: str
    created_at: float
    last_used_at: float
    def __init__(self, object_id: _Optional[str] = ..., kind: _Optional[_Union[ObjectKind, str]] = ..., scope: _Optional[_Union[ObjectScope, _Mapping]] = ..., name: _Optional[str] = ..., created_at: _Optional[float] = ..., last_used_at: _Optional[float] = ...) -> None: ...

class ListObjectsRequest(_message.Message):
    __slots__ = ("kind", "scope", "after_name", "limit")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    AFTER_NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    kind: ObjectKind
    scope: ObjectScope
    after_name: str
    limit: int
    def __init__(self, kind: _Optional[_Union[ObjectKind, str]] = ..., scope: _Optional[_Union[ObjectScope, _Mapping]] = ..., after_name: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListObjectsReply(_message.Message):
    __slots__ = ("objects",)
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    objects: _containers.RepeatedCompositeFieldContainer[ObjectSummary]
    def __init__(self, objects: _Optional[_Iterable[_Union[ObjectSummary, _Mapping]]] = ...) -> None: ...

class RenameObjectRequest(_message.Message):
    __slots__ = ("object_id", "name")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    name: str
    def __init__(self, object_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class RenameObjectReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteObjectRequest(_message.Message):
    __slots__ = ("object_id",)
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    def __init__(self, object_id: _Optional[str] = ...) -> None: ...

class DeleteObjectReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HoldObjectRequest(_message.Message):
    __slots__ = ("object_id",)
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    def __init__(self, object_id: _Optional[str] = ...) -> None: ...

class ObjectHeld(_message.Message):
    __slots__ = ("lease_seconds",)
    LEASE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    lease_seconds: float
    def __init__(self, lease_seconds: _Optional[float] = ...) -> None: ...
