from offload.wire.gen import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Image(_message.Message):
    __slots__ = ("steps", "attached", "python_version")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[ImageStep]
    attached: _containers.RepeatedCompositeFieldContainer[AttachedFiles]
    python_version: str
    def __init__(self, steps: _Optional[_Iterable[_Union[ImageStep, _Mapping]]] = ..., attached: _Optional[_Iterable[_Union[AttachedFiles, _Mapping]]] = ..., python_version: _Optional[str] = ...) -> None: ...

class ImageStep(_message.Message):
    __slots__ = ("digest", "kind", "arguments", "settings", "content", "secrets")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    digest: str
    kind: str
    arguments: _containers.RepeatedScalarFieldContainer[str]
    settings: _containers.ScalarMap[str, str]
    content: _common_pb2.Payload
    secrets: _containers.ScalarMap[str, str]
    def __init__(self, digest: _Optional[str] = ..., kind: _Optional[str] = ..., arguments: _Optional[_Iterable[str]] = ..., settings: _Optional[_Mapping[str, str]] = ..., content: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., secrets: _Optional[_Mapping[str, str]] = ...) -> None: ...

class AttachedFiles(_message.Message):
    __slots__ = ("content", "sha256")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    content: _common_pb2.Payload
    sha256: str
    def __init__(self, content: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., sha256: _Optional[str] = ...) -> None: ...
