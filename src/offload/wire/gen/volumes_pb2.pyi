from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntryKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_KIND_UNSPECIFIED: _ClassVar[EntryKind]
    ENTRY_KIND_FILE: _ClassVar[EntryKind]
    ENTRY_KIND_DIRECTORY: _ClassVar[EntryKind]
    ENTRY_KIND_SYMLINK: _ClassVar[EntryKind]
ENTRY_KIND_UNSPECIFIED: EntryKind
ENTRY_KIND_FILE: EntryKind
ENTRY_KIND_DIRECTORY: EntryKind
ENTRY_KIND_SYMLINK: EntryKind

class TreeEntry(_message.Message):
    __slots__ = ("path", "kind", "mode", "mtime_ns", "size_bytes", "content")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    MTIME_NS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: EntryKind
    mode: int
    mtime_ns: int
    size_bytes: int
    content: bytes
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[_Union[EntryKind, str]] = ..., mode: _Optional[int] = ..., mtime_ns: _Optional[int] = ..., size_bytes: _Optional[int] = ..., content: _Optional[bytes] = ...) -> None: ...

class MovedTree(_message.Message):
    __slots__ = ("source", "target")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class TreeChange(_message.Message):
    __slots__ = ("put", "remove", "remove_tree", "copy", "rename")
    PUT_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_TREE_FIELD_NUMBER: _ClassVar[int]
    COPY_FIELD_NUMBER: _ClassVar[int]
    RENAME_FIELD_NUMBER: _ClassVar[int]
    put: TreeEntry
    remove: str
    remove_tree: str
    copy: MovedTree
    rename: MovedTree
    def __init__(self, put: _Optional[_Union[TreeEntry, _Mapping]] = ..., remove: _Optional[str] = ..., remove_tree: _Optional[str] = ..., copy: _Optional[_Union[MovedTree, _Mapping]] = ..., rename: _Optional[_Union[MovedTree, _Mapping]] = ...) -> None: ...

class CommitVolume(_message.Message):
    __slots__ = ("volume_id", "commit_id", "cause", "changes")
    VOLUME_ID_FIELD_NUMBER: _ClassVar[int]
    COMMIT_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    volume_id: str
    commit_id: str
    cause: str
    changes: _containers.RepeatedCompositeFieldContainer[TreeChange]
    def __init__(self, volume_id: _Optional[str] = ..., commit_id: _Optional[str] = ..., cause: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[TreeChange, _Mapping]]] = ...) -> None: ...

class VolumeVersion(_message.Message):
    __slots__ = ("version", "changed")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    version: int
    changed: bool
    def __init__(self, version: _Optional[int] = ..., changed: _Optional[bool] = ...) -> None: ...

class ReadTreeRequest(_message.Message):
    __slots__ = ("volume_id", "version", "unless_version", "path", "shallow")
    VOLUME_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UNLESS_VERSION_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHALLOW_FIELD_NUMBER: _ClassVar[int]
    volume_id: str
    version: int
    unless_version: int
    path: str
    shallow: bool
    def __init__(self, volume_id: _Optional[str] = ..., version: _Optional[int] = ..., unless_version: _Optional[int] = ..., path: _Optional[str] = ..., shallow: _Optional[bool] = ...) -> None: ...

class TreePage(_message.Message):
    __slots__ = ("version", "entries")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    version: int
    entries: _containers.RepeatedCompositeFieldContainer[TreeEntry]
    def __init__(self, version: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[TreeEntry, _Mapping]]] = ...) -> None: ...

class VolumeSnapshot(_message.Message):
    __slots__ = ("version", "at", "cause", "files", "size_bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    version: int
    at: float
    cause: str
    files: int
    size_bytes: int
    def __init__(self, version: _Optional[int] = ..., at: _Optional[float] = ..., cause: _Optional[str] = ..., files: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ListSnapshotsRequest(_message.Message):
    __slots__ = ("volume_id", "limit")
    VOLUME_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    volume_id: str
    limit: int
    def __init__(self, volume_id: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListSnapshotsReply(_message.Message):
    __slots__ = ("snapshots",)
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    snapshots: _containers.RepeatedCompositeFieldContainer[VolumeSnapshot]
    def __init__(self, snapshots: _Optional[_Iterable[_Union[VolumeSnapshot, _Mapping]]] = ...) -> None: ...

class MountRequest(_message.Message):
    __slots__ = ("volume_id",)
    VOLUME_ID_FIELD_NUMBER: _ClassVar[int]
    volume_id: str
    def __init__(self, volume_id: _Optional[str] = ...) -> None: ...

class MountReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RestoreVolume(_message.Message):
    __slots__ = ("volume_id", "version", "commit_id")
    VOLUME_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_ID_FIELD_NUMBER: _ClassVar[int]
    volume_id: str
    version: int
    commit_id: str
    def __init__(self, volume_id: _Optional[str] = ..., version: _Optional[int] = ..., commit_id: _Optional[str] = ...) -> None: ...
