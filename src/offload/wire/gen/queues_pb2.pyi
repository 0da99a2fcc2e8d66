from offload.wire.gen import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QueuePutRequest(_message.Message):
    __slots__ = ("object_id", "partition", "items", "ttl_seconds", "wait_seconds", "request_id", "is_repeat")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IS_REPEAT_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    partition: str
    items: _containers.RepeatedCompositeFieldContainer[_common_pb2.Payload]
    ttl_seconds: float
    wait_seconds: float
    request_id: str
    is_repeat: bool
    def __init__(self, object_id: _Optional[str] = ..., partition: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_common_pb2.Payload, _Mapping]]] = ..., ttl_seconds: _Optional[float] = ..., wait_seconds: _Optional[float] = ..., request_id: _Optional[str] = ..., is_repeat: _Optional[bool] = ...) -> None: ...

class QueuePutReply(_message.Message):
    __slots__ = ("is_full",)
    IS_FULL_FIELD_NUMBER: _ClassVar[int]
    is_full: bool
    def __init__(self, is_full: _Optional[bool] = ...) -> None: ...

class QueueGetRequest(_message.Message):
    __slots__ = ("object_id", "partition", "count", "wait_seconds", "request_id", "is_repeat", "received")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IS_REPEAT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    partition: str
    count: int
    wait_seconds: float
    request_id: str
    is_repeat: bool
    received: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, object_id: _Optional[str] = ..., partition: _Optional[str] = ..., count: _Optional[int] = ..., wait_seconds: _Optional[float] = ..., request_id: _Optional[str] = ..., is_repeat: _Optional[bool] = ..., received: _Optional[_Iterable[str]] = ...) -> None: ...

class QueueGetReply(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_common_pb2.Payload]
    def __init__(self, items: _Optional[_Iterable[_Union[_common_pb2.Payload, _Mapping]]] = ...) -> None: ...

class QueuePeekRequest(_message.Message):
    __slots__ = ("object_id", "partition", "after", "wait_seconds")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    partition: str
    after: int
    wait_seconds: float
    def __init__(self, object_id: _Optional[str] = ..., partition: _Optional[str] = ..., after: _Optional[int] = ..., wait_seconds: _Optional[float] = ...) -> None: ...

class QueueItem(_message.Message):
    __slots__ = ("position", "value")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    position: int
    value: _common_pb2.Payload
    def __init__(self, position: _Optional[int] = ..., value: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ...) -> None: ...

class QueuePeekReply(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[QueueItem]
    def __init__(self, items: _Optional[_Iterable[_Union[QueueItem, _Mapping]]] = ...) -> None: ...

class QueueLengthRequest(_message.Message):
    __slots__ = ("object_id", "partition", "all")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    partition: str
    all: bool
    def __init__(self, object_id: _Optional[str] = ..., partition: _Optional[str] = ..., all: _Optional[bool] = ...) -> None: ...

class QueueLengthReply(_message.Message):
    __slots__ = ("length",)
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    length: int
    def __init__(self, length: _Optional[int] = ...) -> None: ...

class QueueClearRequest(_message.Message):
    __slots__ = ("object_id", "partition", "all")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    partition: str
    all: bool
    def __init__(self, object_id: _Optional[str] = ..., partition: _Optional[str] = ..., all: _Optional[bool] = ...) -> None: ...

class QueueClearReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
