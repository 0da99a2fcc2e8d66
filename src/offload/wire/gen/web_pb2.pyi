from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AddressesRequest(_message.Message):
    __slots__ = ("function_ids",)
    FUNCTION_IDS_FIELD_NUMBER: _ClassVar[int]
    function_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, function_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Address(_message.Message):
    __slots__ = ("function_id", "target", "path", "label")
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    function_id: str
    target: str
    path: str
    label: str
    def __init__(self, function_id: _Optional[str] = ..., target: _Optional[str] = ..., path: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class AddressesReply(_message.Message):
    __slots__ = ("addresses",)
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedCompositeFieldContainer[Address]
    def __init__(self, addresses: _Optional[_Iterable[_Union[Address, _Mapping]]] = ...) -> None: ...

class WebPart(_message.Message):
    __slots__ = ("container_id", "function_id", "part", "credit")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_ID_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    function_id: str
    part: bytes
    credit: int
    def __init__(self, container_id: _Optional[str] = ..., function_id: _Optional[str] = ..., part: _Optional[bytes] = ..., credit: _Optional[int] = ...) -> None: ...
