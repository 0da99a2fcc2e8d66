from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

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
