from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CrossOrigin(_message.Message):
    __slots__ = ("origins", "methods", "headers", "with_credentials", "max_age_seconds")
    ORIGINS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    WITH_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    origins: _containers.RepeatedScalarFieldContainer[str]
    methods: _containers.RepeatedScalarFieldContainer[str]
    headers: _containers.RepeatedScalarFieldContainer[str]
    with_credentials: bool
    max_age_seconds: float
    def __init__(self, origins: _Optional[_Iterable[str]] = ..., methods: _Optional[_Iterable[str]] = ..., headers: _Optional[_Iterable[str]] = ..., with_credentials: _Optional[bool] = ..., max_age_seconds: _Optional[float] = ...) -> None: ...

class WebEndpoint(_message.Message):
    __slots__ = ("kind", "target", "methods", "path", "label", "auth", "cors", "port", "startup_seconds", "docs", "max_waiting")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AUTH_FIELD_NUMBER: _ClassVar[int]
    CORS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    STARTUP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DOCS_FIELD_NUMBER: _ClassVar[int]
    MAX_WAITING_FIELD_NUMBER: _ClassVar[int]
    kind: str
    target: str
    methods: _containers.RepeatedScalarFieldContainer[str]
    path: str
    label: str
    auth: str
    cors: CrossOrigin
    port: int
    startup_seconds: float
    docs: bool
    max_waiting: int
    def __init__(self, kind: _Optional[str] = ..., target: _Optional[str] = ..., methods: _Optional[_Iterable[str]] = ..., path: _Optional[str] = ..., label: _Optional[str] = ..., auth: _Optional[str] = ..., cors: _Optional[_Union[CrossOrigin, _Mapping]] = ..., port: _Optional[int] = ..., startup_seconds: _Optional[float] = ..., docs: _Optional[bool] = ..., max_waiting: _Optional[int] = ...) -> None: ...
