"""The schema's messages as the worker's values, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.wire import guest
from offload.wire.version import PACKAGE_VERSION
from offload.worker.core.images import AttachedFiles, Image, ImageStep
from offload.worker.core.network import AllowList
from offload.worker.core.values import Content, Function, Orders, Start, Task, VolumeMount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offload.wire.gen import apps_pb2, common_pb2, images_pb2, workers_pb2
    from offload.worker.core.values import Held, Line, Report, WorkerFacts


def read_orders(message: workers_pb2.ServerMessage) -> Orders:
    """Return what a server's message wants."""
    assignments = tuple(
        (assignment.function_id, [_task(task) for task in assignment.inputs])
        for assignment in message.assignments
    )
    if len(message.ListFields()) == 1 and assignments:
        # Nearly every message is this one.
        return Orders(assignments=assignments)
    return Orders(
        functions=tuple(_function(function) for function in message.functions),
        start=tuple(
            Start(order.container_id, order.function_id, tuple(order.gpu_indices))
            for order in message.start
        ),
        stop=tuple((order.container_id, order.grace_seconds) for order in message.stop),
        assignments=assignments,
        cancels=tuple((cancel.input_id, cancel.reason) for cancel in message.cancels),
        forget=tuple(message.forget_functions),
        consoles=tuple((each.session_id, each.container_id) for each in message.consoles),
        shut_down=message.shut_down,
        drain=message.drain,
        bring=tuple(message.bring_blobs),
    )


def _task(task: workers_pb2.InputTask) -> Task:
    return Task(task.input_id, task.attempt, _content(task.args), task.alone)


def _content(payload: common_pb2.Payload) -> Content:
    inline = payload.inline
    if not inline and payload.HasField("blob"):
        return Content(payload.encoding, b"", payload.blob.sha256, payload.blob.size_bytes)
    return Content(payload.encoding, inline)


def _function(definition: apps_pb2.FunctionDefinition) -> Function:
    image = definition.local_image
    return Function(
        function_id=definition.function_id,
        app_id=definition.app_id,
        name=definition.name,
        code=_content(definition.code),
        is_generator=definition.is_generator,
        cpu_milli=definition.cpu_milli,
        cpu_limit_milli=definition.cpu_limit_milli,
        memory_mib=max(definition.memory_limit_mib, definition.memory_mib),
        ephemeral_disk_mib=definition.ephemeral_disk_mib,
        timeout_seconds=definition.timeout_seconds,
        startup_timeout_seconds=definition.startup_timeout_seconds,
        runtime=definition.runtime,
        block_network=definition.block_network,
        allowed=_allowed(definition),
        host_id=image.host_id,
        python=image.python,
        sys_path=tuple(image.sys_path),
        read_only_paths=tuple(image.read_only_paths),
        working_dir=image.working_dir,
        env=tuple(sorted(definition.env.items())),
        image=read_image(definition.image) if definition.HasField("image") else None,
        volumes=tuple(
            VolumeMount(mount.volume_id, mount.path, mount.read_only, mount.sub_path)
            for mount in definition.volumes
        ),
        image_elsewhere=read_image(definition.image_elsewhere)
        if definition.HasField("image_elsewhere")
        else None,
        max_calls=definition.concurrency.max_inputs or 1,
        batch_size=definition.batching.max_batch_size or 1,
        batch_wait_seconds=definition.batching.wait_seconds,
        is_batched=definition.HasField("batching"),
        is_single_use=definition.single_use_containers,
        restrict_platform_access=definition.restrict_platform_access,
        secrets=tuple(definition.secrets),
        parameters=tuple(
            (name, *_parameter(value)) for name, value in sorted(definition.parameters.items())
        ),
    )


def _parameter(message: apps_pb2.ParameterValue) -> tuple[str, str]:
    match message.WhichOneof("value"):
        case "number":
            return guest.NUMBER, message.number
        case "flag":
            return guest.FLAG, "1" if message.flag else ""
        case "data":
            return guest.DATA, message.data.hex()
        case _:
            return guest.TEXT, message.text


def _allowed(definition: apps_pb2.FunctionDefinition) -> AllowList | None:
    if not definition.HasField("allow_list"):
        return None
    return AllowList(tuple(definition.allow_list.cidrs), tuple(definition.allow_list.domains))


def read_image(image: images_pb2.Image) -> Image:
    """Return what a container's root is to be made of."""
    return Image(
        tuple(
            ImageStep(
                step.digest,
                step.kind,
                tuple(step.arguments),
                tuple(sorted(step.settings.items())),
                _content(step.content) if step.HasField("content") else None,
                tuple(sorted(step.secrets.items())),
            )
            for step in image.steps
        ),
        tuple(AttachedFiles(_content(files.content), files.sha256) for files in image.attached),
        image.python_version,
    )


def write_hello(
    hello: workers_pb2.Hello, facts: WorkerFacts, held: Iterable[Held], reports: Iterable[Report]
) -> None:
    """Fill the first message of a session."""
    hello.worker_id = facts.worker_id
    hello.name = facts.name
    hello.version = PACKAGE_VERSION
    hello.host_id = facts.host_id
    hello.capacity.cpu_milli = facts.cpu_milli
    hello.capacity.memory_mib = facts.memory_mib
    for gpu in facts.gpus:
        hello.capacity.gpus.add(index=gpu.index, kind=gpu.kind)
    hello.labels.update(facts.labels)
    hello.runtimes.extend(facts.runtimes)
    for runtime, abilities in facts.runtimes.items():
        hello.abilities.add(runtime=runtime, abilities=abilities)
    hello.notes.extend(facts.notes)
    for held_input in held:
        hello.held.add(
            input_id=held_input.input_id,
            attempt=held_input.attempt,
            function_id=held_input.function_id,
        )
    for report in reports:
        write_report(hello.containers.add(), report)


def write_report(entry: workers_pb2.ContainerReport, report: Report) -> None:
    """Fill what became of a container."""
    entry.container_id = report.container_id
    entry.function_id = report.function_id
    entry.state = int(report.state)  # type: ignore[assignment]  # the numbers are the schema's
    entry.inputs_in_hand = report.inputs_in_hand
    entry.gpu_indices.extend(report.gpu_indices)
    entry.progress = report.progress
    if report.failure is not None:
        failure = entry.failure
        failure.kind = int(report.failure.kind)  # type: ignore[assignment]  # as above
        failure.reason = report.failure.reason
        failure.exit_code = report.failure.exit_code
        failure.signal = report.failure.signal
        failure.last_lines.extend(report.failure.last_lines)
        failure.type_name = report.failure.type_name
        entry.hopeless = report.failure.is_hopeless


def write_line(entry: common_pb2.LogLine, line: Line, at: float) -> None:
    """Fill a line of output."""
    entry.at = at
    entry.app_id = line.app_id
    entry.function_name = line.function_name
    entry.container_id = line.container_id
    entry.input_id = line.input_id
    entry.stream = line.stream
    entry.text = line.text
