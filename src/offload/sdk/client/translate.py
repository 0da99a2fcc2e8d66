"""Between the schema's messages and the SDK's values."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from offload.sdk import serialize
from offload.sdk.schedule import Cron, Period
from offload.sdk.serialize import ENCODING
from offload.sdk.values import (
    AppName,
    CallStatus,
    Deployed,
    Failure,
    Letter,
    LocalEnvironment,
    LogLine,
    PoolProgress,
    Scaling,
    TraceLine,
)
from offload.wire.gen import apps_pb2, calls_pb2, common_pb2, deployments_pb2, schedules_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.sdk.call_options import CallOptions
    from offload.sdk.options import FunctionOptions

STATES: Mapping[int, str] = {
    number: name.removeprefix("INPUT_STATE_").lower()
    for name, number in common_pb2.InputState.items()
}
KINDS = {
    "single": calls_pb2.CALL_KIND_SINGLE,
    "map": calls_pb2.CALL_KIND_MAP,
    "generator": calls_pb2.CALL_KIND_GENERATOR,
}
_MISSED = {
    "latest": schedules_pb2.MISSED_RUNS_LATEST,
    "skip": schedules_pb2.MISSED_RUNS_SKIP,
    "all": schedules_pb2.MISSED_RUNS_ALL,
}
_OVERLAP = {
    "allow": schedules_pb2.OVERLAP_ALLOW,
    "skip": schedules_pb2.OVERLAP_SKIP,
    "queue": schedules_pb2.OVERLAP_QUEUE,
}
KIND_NAMES: Mapping[int, str] = {number: name for name, number in KINDS.items()}


def local_image(environment: LocalEnvironment) -> apps_pb2.LocalImage:
    """Return the message for the caller's environment."""
    return apps_pb2.LocalImage(
        host_id=environment.host_id,
        python=environment.python,
        sys_path=environment.sys_path,
        read_only_paths=environment.read_only_paths,
        working_dir=environment.working_dir,
    )


def set_options(definition: apps_pb2.FunctionDefinition, options: FunctionOptions) -> None:
    """Fill in what the user asked for."""
    policy = options.retry_policy
    cores, most_cores = options.cpu_cores
    definition.cpu_milli = max(1, round(cores * 1000))
    definition.cpu_limit_milli = round(most_cores * 1000)
    definition.memory_mib, most_mib = options.memory_mib
    definition.memory_limit_mib = most_mib if most_mib != definition.memory_mib else 0
    definition.ephemeral_disk_mib = options.ephemeral_disk or 0
    definition.timeout_seconds = options.timeout
    definition.startup_timeout_seconds = options.startup_timeout
    definition.retries.max_retries = policy.max_retries
    definition.retries.initial_delay_seconds = policy.initial_delay
    definition.retries.backoff_coefficient = policy.backoff_coefficient
    definition.retries.max_delay_seconds = policy.max_delay
    definition.min_containers = options.min_containers
    definition.max_containers = options.max_containers
    definition.buffer_containers = options.buffer_containers
    definition.scaledown_window_seconds = options.scaledown_window
    definition.runtime = options.runtime or ""
    definition.restrict_platform_access = options.restrict_platform_access
    reachable = options.reachable
    definition.block_network = reachable is not None and not any(reachable)
    if reachable is not None and any(reachable):
        definition.allow_list.cidrs.extend(reachable.cidrs)
        definition.allow_list.domains.extend(reachable.domains)
    definition.env.update(options.env)
    definition.labels.update(options.labels)
    definition.single_use_containers = options.single_use_containers
    if options.concurrency is not None and options.concurrency.max_inputs > 1:
        definition.concurrency.max_inputs = options.concurrency.max_inputs
        definition.concurrency.target_inputs = options.concurrency.target_inputs
    if options.batching is not None:
        definition.batching.max_batch_size = options.batching.max_batch_size
        definition.batching.wait_seconds = options.batching.wait_ms / 1000
    count, kind = options.gpu_request
    if count:
        definition.gpu.count = count
        definition.gpu.kind = kind
    if isinstance(options.schedule, Cron | Period):
        definition.schedule.CopyFrom(schedule(options.schedule))


def schedule(given: Cron | Period) -> schedules_pb2.Schedule:
    """Return the message for when a function runs by itself; it is called without arguments."""
    message = schedules_pb2.Schedule(
        missed=_MISSED[given.missed],
        max_missed=given.max_missed,
        overlap=_OVERLAP[given.overlap],
        jitter_seconds=given.jitter,
        args=common_pb2.Payload(encoding=ENCODING, inline=serialize.dumps(((), {}))),
    )
    if isinstance(given, Cron):
        message.cron = given.expression
        message.timezone = given.timezone
    else:
        message.period_seconds = given.seconds
    return message


def app_name(app: AppName) -> deployments_pb2.DeploymentName:
    """Return the message for which app."""
    return deployments_pb2.DeploymentName(
        name=app.name, workspace=app.workspace, environment=app.environment
    )


def deployed(app: AppName, result: deployments_pb2.DeployResult) -> Deployed:
    """Return what a deployment came to."""
    return Deployed(
        app.name,
        app.environment or "main",
        result.version,
        result.is_unchanged,
        result.replaced_version or None,
    )


def call_options(options: CallOptions | None) -> calls_pb2.CallOptions | None:
    """Return the message for how a call is to be treated; None where that is like any other."""
    if options is None:
        return None
    return calls_pb2.CallOptions(
        priority=options.priority,
        timeout_seconds=options.call_timeout or 0.0,
        after=options.after,
        run_anyway=options.run_anyway,
        idempotency_key=options.idempotency_key or "",
        delay_seconds=options.delay or 0.0,
        start_at=options.at or 0.0,
        any_version=options.any_version,
    )


def autoscaler(function_id: str, scaling: Scaling) -> apps_pb2.UpdateAutoscalerRequest:
    """Return the message for a change of how many containers a function may have."""
    return apps_pb2.UpdateAutoscalerRequest(
        function_id=function_id,
        min_containers=scaling.min_containers,
        max_containers=scaling.max_containers,
        buffer_containers=scaling.buffer_containers,
        scaledown_window_seconds=scaling.scaledown_window,
    )


def call_status(call: calls_pb2.CallDescription) -> CallStatus:
    """Return what a call is and how far it is."""
    return CallStatus(
        call.call_id,
        call.function_name,
        call.app_name,
        KIND_NAMES.get(call.kind, "single"),
        call.state,
        dict(call.counts),
        call.options.priority,
        tuple(call.options.after),
        call.waiting_reason,
    )


def letter(message: calls_pb2.DeadLetter) -> Letter:
    """Return the dead letter."""
    return Letter(
        message.input_id,
        message.call_id,
        message.index,
        message.app_name,
        message.function_name,
        message.attempts,
        message.at,
        message.reason,
    )


def failure(message: common_pb2.Failure, exception: bytes | IO[bytes] | None) -> Failure:
    """Return the failure, with its exception's bytes already fetched."""
    return Failure(
        common_pb2.FailureKind.Name(message.kind).removeprefix("FAILURE_KIND_"),
        message.reason,
        message.type_name,
        message.message,
        tuple(TraceLine(f.file, f.line, f.function, f.text) for f in message.frames),
        exception,
        message.exit_code,
        message.signal,
        tuple(message.last_lines),
    )


def log_line(line: common_pb2.LogLine) -> LogLine:
    """Return the line."""
    return LogLine(
        line.at, line.call_id, line.input_id, line.container_id, line.stream, line.text, line.seq,
        line.function_name,
    )  # fmt: skip


def pool(message: apps_pb2.PoolProgress) -> PoolProgress:
    """Return the progress."""
    return PoolProgress(
        message.function_id,
        message.function_name,
        message.containers_starting,
        message.containers_ready,
        message.inputs_pending,
        message.inputs_running,
        message.inputs_finished,
        message.waiting_reason,
        message.is_impossible,
    )
