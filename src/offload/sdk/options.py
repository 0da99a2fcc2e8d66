"""What a function asks for: a frozen value, checked where the user wrote it. Pure.

Every script imports this. So these are named tuples and not dataclasses, which would bring `inspect`, a quarter of the whole
import's time; and they are not made by `typing`, which compiles the annotation of each field: a tenth of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from offload.errors import InvalidError
from offload.sdk.mount_checks import check_volumes
from offload.sdk.network_options import Reachable, check_network
from offload.sdk.option_checks import (
    check_image,
    check_labels,
    check_number,
    check_schedule,
    check_secrets,
    check_whole,
    parse_gpus,
    request_and_limit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from typing import NamedTuple, Self, TypedDict, Unpack

    from offload.sdk.option_types import (
        CallReference,
        ImageChoice,
        ScheduleChoice,
        SecretChoice,
        VolumeChoice,
        WebChoice,
    )

    After = CallReference | str | Iterable[CallReference | str]
else:
    from offload.wire.records import NamedTuple

_MOST_MIB = 1 << 40

RUNTIMES = ("bubblewrap", "gvisor", "docker", "process")

# Options that decorators of their own set, and what their arguments look like as options of the function.
_OF_DECORATORS = ("concurrency", "batching", "web")
_DECORATOR_OF = {
    **dict.fromkeys(
        ("max_inputs", "target_inputs", "concurrency"), "@offload.concurrent(max_inputs=10)"
    ),
    **dict.fromkeys(
        ("max_batch_size", "wait_ms", "batching"), "@offload.batched(max_batch_size=16, wait_ms=50)"
    ),
    "web": "@offload.asgi_app()",
}

# What says how a call is treated, not how its function runs; `offload.sdk.call_options` knows more of them.
CALL_OPTIONS = (
    "priority", "call_timeout", "after", "run_anyway", "idempotency_key", "delay", "at",
)  # fmt: skip


class _RetryPolicy(NamedTuple):
    max_retries: int
    initial_delay: float
    backoff_coefficient: float
    max_delay: float


class Retries(_RetryPolicy):
    """How often and how patiently an input that failed is tried again; delays in seconds.

    The n-th delay is `initial_delay * backoff_coefficient ** (n - 1)`, at most `max_delay`; what is waited is drawn from
    its upper half, so that inputs that failed together do not come back together.
    """

    __slots__ = ()

    def __new__(
        cls,
        max_retries: int = 2,
        initial_delay: float = 1.0,
        backoff_coefficient: float = 2.0,
        max_delay: float = 60.0,
    ) -> Self:
        """Check the numbers; raise `InvalidError` with the caller's line as the last."""
        try:
            check_whole("max_retries", max_retries, 0, 1000)
            check_number("initial_delay", initial_delay, 0, 86_400)
            check_number("backoff_coefficient", backoff_coefficient, 1, 100)
            check_number("max_delay", max_delay, 0, 86_400)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        return super().__new__(cls, max_retries, initial_delay, backoff_coefficient, max_delay)


class Concurrency(NamedTuple):
    """How many inputs a container runs at the same time; `offload.concurrent` makes it."""

    max_inputs: int
    target_inputs: int  # beyond it more containers are started


class Batching(NamedTuple):
    """For how many inputs the function is called at once; `offload.batched` makes it."""

    max_batch_size: int
    wait_ms: float  # how long the first input of a batch waits for others


if TYPE_CHECKING:

    class FunctionArguments(TypedDict, total=False):
        """The keyword arguments of `App.function` that say how the function runs."""

        name: str | None
        cpu: float | tuple[float, float]
        memory: int | tuple[int, int]
        ephemeral_disk: int | None
        timeout: float
        startup_timeout: float
        retries: int | Retries
        min_containers: int
        max_containers: int
        buffer_containers: int
        scaledown_window: float
        gpu: str | int | None
        labels: Mapping[str, str]
        runtime: str | None
        block_network: bool
        restrict_platform_access: bool
        outbound_cidr_allowlist: Sequence[str] | None
        outbound_domain_allowlist: Sequence[str] | None
        env: Mapping[str, str]
        secrets: Sequence[SecretChoice]
        image: ImageChoice | None
        volumes: Mapping[str, VolumeChoice]
        single_use_containers: bool
        schedule: ScheduleChoice | None

    class OptionArguments(FunctionArguments, total=False):
        """The keyword arguments of `App.function`."""

        priority: int
        call_timeout: float | None

    class CallArguments(OptionArguments, total=False):
        """The keyword arguments of `Function.with_options`."""

        after: After
        run_anyway: bool
        idempotency_key: str | None
        delay: float | None
        at: datetime | float | None


class FunctionOptions(NamedTuple):
    """The options of one function; `parse_options` and `changed` make checked ones."""

    name: str | None = None
    cpu: float | tuple[float, float] = 1.0  # cores: those kept for it, or (kept, at most)
    memory: int | tuple[int, int] = 1024  # MiB: at most, or (kept for it, at most)
    ephemeral_disk: int | None = None  # MiB of scratch beside `memory`; None: some of `memory`
    timeout: float = 300.0  # seconds an input may run
    startup_timeout: float = 60.0  # seconds a container may take to be ready
    retries: int | Retries = 0
    min_containers: int = 0
    max_containers: int = 0  # 0: as many as fit
    buffer_containers: int = 0  # idle ones kept beyond what is needed, while inputs come
    scaledown_window: float = 60.0  # seconds an idle container stays
    gpu: str | int | None = None  # "H100", "H100:2", or so many of any kind
    labels: Mapping[str, str] = MappingProxyType({})  # a worker must have all of these
    runtime: str | None = None  # None: the worker's default
    block_network: bool = False
    restrict_platform_access: bool = (
        False  # its code may use no function, dict, queue or other object
    )
    # All that it reaches where one of the two is given; None for both: everything.
    outbound_cidr_allowlist: Sequence[str] | None = None
    outbound_domain_allowlist: Sequence[str] | None = None
    env: Mapping[str, str] = MappingProxyType({})
    secrets: Sequence[SecretChoice] = ()  # variables that nobody else sees; of one name, the last's
    image: ImageChoice | None = None  # None: the app's, else the caller's own environment
    volumes: Mapping[str, VolumeChoice] = MappingProxyType({})  # by the path they are found at
    single_use_containers: bool = False  # each container runs one input and ends
    concurrency: Concurrency | None = None  # None: one input at a time; see `offload.concurrent`
    batching: Batching | None = None  # None: a call for each input; see `offload.batched`
    schedule: ScheduleChoice | None = None  # when it runs by itself, once it is deployed
    web: WebChoice | None = None  # how it answers web requests; see `offload.sdk.web`

    @property
    def retry_policy(self) -> Retries:
        """The retries, however they were written."""
        if isinstance(self.retries, Retries):
            return self.retries
        return Retries(max_retries=self.retries)

    @property
    def cpu_cores(self) -> tuple[float, float]:
        """The cores kept for a container and the most it may use (0: as many as are idle), however they were written."""
        return self.cpu if isinstance(self.cpu, tuple) else (self.cpu, 0)

    @property
    def memory_mib(self) -> tuple[int, int]:
        """The MiB kept for a container and the most it may use, however they were written."""
        return self.memory if isinstance(self.memory, tuple) else (self.memory, self.memory)

    @property
    def gpu_request(self) -> tuple[int, str]:
        """How many devices, and of which kind ("": any), however that was written."""
        return parse_gpus(self.gpu)

    @property
    def reachable(self) -> Reachable | None:
        """All that may be reached, however that was written; None: everything."""
        lists = (self.outbound_cidr_allowlist, self.outbound_domain_allowlist)
        return check_network(self.block_network, *lists)

    def changed(self, **arguments: Unpack[FunctionArguments]) -> FunctionOptions:
        """Return these options with some of them changed. Raises `InvalidError`."""
        check_option_names(arguments)
        changed = self._replace(**arguments)
        _check(changed)
        return changed._replace(
            env=dict(changed.env), labels=dict(changed.labels), volumes=dict(changed.volumes)
        )

    def sharing(
        self, concurrency: Concurrency | None, batching: Batching | None
    ) -> FunctionOptions:
        """Return these options with what the decorators say that is not None. Raises `InvalidError`."""
        changed = self._replace(
            concurrency=concurrency or self.concurrency, batching=batching or self.batching
        )
        _check_sharing(changed)
        return changed


def parse_options(**arguments: Unpack[FunctionArguments]) -> FunctionOptions:
    """Check keyword arguments and make options of them. Raises `InvalidError`."""
    return FunctionOptions().changed(**arguments)


def check_scaling(changes: Mapping[str, object]) -> None:
    """Refuse a change of the autoscaler that changes nothing, or to what no function may have."""
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        raise InvalidError(
            "update_autoscaler() without arguments changes nothing: write update_autoscaler(min_containers=2), say"
        )
    try:
        parse_options(**given)  # type: ignore[arg-type]  # it looks at each
    except InvalidError as error:
        raise error.with_traceback(None) from None  # generated code is nothing to show


def split_arguments(arguments: Mapping[str, object]) -> tuple[FunctionArguments, dict[str, object]]:
    """Part what is about a function from what is about its calls."""
    of_calls = {name: value for name, value in arguments.items() if name in CALL_OPTIONS}
    of_function = {name: value for name, value in arguments.items() if name not in of_calls}
    return cast("FunctionArguments", of_function), of_calls


def check_option_names(arguments: Mapping[str, object]) -> None:
    """Refuse names that are not options, and say which was probably meant."""
    known = (
        *(name for name in FunctionOptions._fields if name not in _OF_DECORATORS),
        *CALL_OPTIONS,
    )
    for name in arguments:
        if name in _DECORATOR_OF:
            decorator = _DECORATOR_OF[name]
            raise InvalidError(f"{name!r} is no option: write {decorator} below @app.function()")
        if name not in known:
            import difflib  # noqa: PLC0415 - needed only to explain

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(known)}"
            raise InvalidError(f"unknown option {name!r}: {hint}")


def _check(options: FunctionOptions) -> None:
    _check_resources(options)
    check_number("timeout", options.timeout, 0.001, 31 * 86_400)
    check_number("startup_timeout", options.startup_timeout, 0.001, 86_400)
    check_number("scaledown_window", options.scaledown_window, 0, 86_400)
    for name in ("min_containers", "max_containers", "buffer_containers"):
        check_whole(name, getattr(options, name), 0, 100_000)
    if options.max_containers and options.min_containers > options.max_containers:
        raise InvalidError(
            f"min_containers={options.min_containers} is more than max_containers={options.max_containers}"
        )
    _check_retries(options.retries)
    _check_names(options)
    parse_gpus(options.gpu)
    check_labels(options.labels)
    check_network(
        options.block_network, options.outbound_cidr_allowlist, options.outbound_domain_allowlist
    )
    check_volumes(options.volumes, options.runtime)
    check_image(options.image)
    check_secrets(options.secrets)
    check_schedule(options.schedule)
    _check_sharing(options)


def _check_sharing(options: FunctionOptions) -> None:
    if options.web is not None:
        options.web.check(options.retry_policy.max_retries, options.batching, options.schedule)
    single: object = options.single_use_containers
    if not isinstance(single, bool):
        raise InvalidError(f"single_use_containers={single!r} is neither True nor False")
    if single and options.concurrency is not None and options.concurrency.max_inputs > 1:
        raise InvalidError(
            f"single_use_containers=True with max_inputs={options.concurrency.max_inputs}: a container that runs one input and"
            " ends cannot run several; leave one of them out"
        )
    if single and options.batching is not None:
        raise InvalidError(
            "single_use_containers=True on a batched function: a container that runs one input and ends cannot run a batch;"
            " leave one of them out"
        )


def _check_resources(options: FunctionOptions) -> None:
    for cores in request_and_limit("cpu", options.cpu, "cores, as in cpu=(1, 4)"):
        check_number("cpu", cores, 0.001, 4096, unit="cores")
    for mib in request_and_limit("memory", options.memory, "MiB, as in memory=(512, 2048)"):
        check_whole("memory", mib, 1, _MOST_MIB, unit="MiB")
    if options.ephemeral_disk is not None:
        check_whole("ephemeral_disk", options.ephemeral_disk, 1, _MOST_MIB, unit="MiB")


def _check_retries(value: object) -> None:
    if isinstance(value, Retries):
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidError(
            f"retries={value!r} is not a number: write retries=3, or retries=offload.Retries(max_retries=3)"
        )
    check_whole("retries", value, 0, 1000)


def _check_names(options: FunctionOptions) -> None:
    runtime: object = options.runtime
    if runtime is not None and runtime not in RUNTIMES:
        raise InvalidError(f"runtime={runtime!r} is not one of {', '.join(RUNTIMES)}")
    if runtime == "gvisor" and parse_gpus(options.gpu)[0]:
        raise InvalidError(
            f'gpu={options.gpu!r} with runtime="gvisor": gVisor gives no GPUs; leave one of them out'
        )
    if runtime == "process" and (options.cpu_cores[1] or options.ephemeral_disk is not None):
        raise InvalidError(
            'runtime="process" is no sandbox and holds nobody to cpu=(request, limit) or ephemeral_disk=; leave them out'
        )
    if runtime == "process" and options.reachable is not None:
        raise InvalidError(
            'runtime="process" is no sandbox and reaches the whole network; leave out it, or block_network and the lists'
        )
    restricted: object = options.restrict_platform_access
    if not isinstance(restricted, bool):
        raise InvalidError(f"restrict_platform_access={restricted!r} is neither True nor False")
    name: object = options.name
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise InvalidError(f"name={name!r} is not a name")
    env: object = options.env
    if not isinstance(env, Mapping):
        raise InvalidError(f"env={env!r} is not a dict of strings")
    for key, value in env.items():
        if (
            not (isinstance(key, str) and isinstance(value, str))
            or not key
            or "=" in key
            or "\0" in key + value
        ):
            raise InvalidError(f"env[{key!r}]={value!r}: names and values of variables are strings")
