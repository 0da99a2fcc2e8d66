"""Between the schema's messages and the SDK's values."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from offload.sdk.values import Failure, LocalEnvironment, LogLine, PoolProgress, TraceLine
from offload.wire.gen import apps_pb2, calls_pb2, common_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    definition.cpu_milli = max(1, round(options.cpu * 1000))
    definition.memory_mib = options.memory
    definition.timeout_seconds = options.timeout
    definition.startup_timeout_seconds = options.startup_timeout
    definition.retries.max_retries = policy.max_retries
    definition.retries.initial_delay_seconds = policy.initial_delay
    definition.retries.backoff_coefficient = policy.backoff_coefficient
    definition.retries.max_delay_seconds = policy.max_delay
    definition.min_containers = options.min_containers
    definition.max_containers = options.max_containers
    definition.scaledown_window_seconds = options.scaledown_window
    definition.runtime = options.runtime or ""
    definition.block_network = options.block_network
    definition.env.update(options.env)


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
    )
