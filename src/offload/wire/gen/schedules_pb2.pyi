from offload.wire.gen import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MissedRuns(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MISSED_RUNS_LATEST: _ClassVar[MissedRuns]
    MISSED_RUNS_SKIP: _ClassVar[MissedRuns]
    MISSED_RUNS_ALL: _ClassVar[MissedRuns]

class Overlap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERLAP_ALLOW: _ClassVar[Overlap]
    OVERLAP_SKIP: _ClassVar[Overlap]
    OVERLAP_QUEUE: _ClassVar[Overlap]
MISSED_RUNS_LATEST: MissedRuns
MISSED_RUNS_SKIP: MissedRuns
MISSED_RUNS_ALL: MissedRuns
OVERLAP_ALLOW: Overlap
OVERLAP_SKIP: Overlap
OVERLAP_QUEUE: Overlap

class Schedule(_message.Message):
    __slots__ = ("cron", "timezone", "period_seconds", "missed", "max_missed", "overlap", "jitter_seconds", "args")
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    MAX_MISSED_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    JITTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    cron: str
    timezone: str
    period_seconds: float
    missed: MissedRuns
    max_missed: int
    overlap: Overlap
    jitter_seconds: float
    args: _common_pb2.Payload
    def __init__(self, cron: _Optional[str] = ..., timezone: _Optional[str] = ..., period_seconds: _Optional[float] = ..., missed: _Optional[_Union[MissedRuns, str]] = ..., max_missed: _Optional[int] = ..., overlap: _Optional[_Union[Overlap, str]] = ..., jitter_seconds: _Optional[float] = ..., args: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ...) -> None: ...

class ScheduleName(_message.Message):
    __slots__ = ("app", "function", "workspace", "environment")
    APP_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    app: str
    function: str
    workspace: str
    environment: str
    def __init__(self, app: _Optional[str] = ..., function: _Optional[str] = ..., workspace: _Optional[str] = ..., environment: _Optional[str] = ...) -> None: ...

class ScheduledRun(_message.Message):
    __slots__ = ("tick", "at", "state", "call_id", "reason", "outcome")
    TICK_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    tick: float
    at: float
    state: str
    call_id: str
    reason: str
    outcome: str
    def __init__(self, tick: _Optional[float] = ..., at: _Optional[float] = ..., state: _Optional[str] = ..., call_id: _Optional[str] = ..., reason: _Optional[str] = ..., outcome: _Optional[str] = ...) -> None: ...

class ScheduleDescription(_message.Message):
    __slots__ = ("name", "schedule", "is_paused", "next_at", "runs")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    IS_PAUSED_FIELD_NUMBER: _ClassVar[int]
    NEXT_AT_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    name: ScheduleName
    schedule: Schedule
    is_paused: bool
    next_at: float
    runs: _containers.RepeatedCompositeFieldContainer[ScheduledRun]
    def __init__(self, name: _Optional[_Union[ScheduleName, _Mapping]] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ..., is_paused: _Optional[bool] = ..., next_at: _Optional[float] = ..., runs: _Optional[_Iterable[_Union[ScheduledRun, _Mapping]]] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
    __slots__ = ("workspace", "environment", "app")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    environment: str
    app: str
    def __init__(self, workspace: _Optional[str] = ..., environment: _Optional[str] = ..., app: _Optional[str] = ...) -> None: ...

class ListSchedulesReply(_message.Message):
    __slots__ = ("schedules",)
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[ScheduleDescription]
    def __init__(self, schedules: _Optional[_Iterable[_Union[ScheduleDescription, _Mapping]]] = ...) -> None: ...

class RunScheduleReply(_message.Message):
    __slots__ = ("call_id",)
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    def __init__(self, call_id: _Optional[str] = ...) -> None: ...
