"""What a function asks for: a frozen value, checked where the user wrote it. Pure.

Named tuples and not dataclasses: every script imports this, and `dataclasses` would bring `inspect`, a quarter of the
whole import's time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypedDict, cast

from offload.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from typing import Protocol, Self, Unpack

    class CallReference(Protocol):
        """A call that another one can come after."""

        @property
        def object_id(self) -> str:
            """The call's id."""
            ...

    class ImageChoice(Protocol):
        """What containers run in; see `offload.Image`."""

        @property
        def is_local(self) -> bool:
            """Whether it is the caller's own environment."""
            ...

    class ScheduleChoice(Protocol):
        """When a function runs by itself; see `offload.Cron` and `offload.Period`."""

        @property
        def is_schedule(self) -> bool:
            """Whether it is one."""
            ...

    After = CallReference | str | Iterable[CallReference | str]

RUNTIMES = ("bubblewrap", "gvisor", "docker", "process")

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


class FunctionArguments(TypedDict, total=False):
    """The keyword arguments of `App.function` that say how the function runs."""

    name: str | None
    cpu: float
    memory: int
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
    env: Mapping[str, str]
    image: ImageChoice | None
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
    cpu: float = 1.0  # cores
    memory: int = 1024  # MiB
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
    env: Mapping[str, str] = MappingProxyType({})
    image: ImageChoice | None = None  # None: the app's, else the caller's own environment
    schedule: ScheduleChoice | None = None  # when it runs by itself, once it is deployed

    @property
    def retry_policy(self) -> Retries:
        """The retries, however they were written."""
        if isinstance(self.retries, Retries):
            return self.retries
        return Retries(max_retries=self.retries)

    @property
    def gpu_request(self) -> tuple[int, str]:
        """How many devices, and of which kind ("": any), however that was written."""
        return _gpu_request(self.gpu)

    def changed(self, **arguments: Unpack[FunctionArguments]) -> FunctionOptions:
        """Return these options with some of them changed. Raises `InvalidError`."""
        check_option_names(arguments)
        changed = self._replace(**arguments)
        _check(changed)
        return changed._replace(env=dict(changed.env), labels=dict(changed.labels))


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
    known = (*FunctionOptions._fields, *CALL_OPTIONS)
    for name in arguments:
        if name not in known:
            import difflib  # noqa: PLC0415 - needed only to explain

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(known)}"
            raise InvalidError(f"unknown option {name!r}: {hint}")


def _check(options: FunctionOptions) -> None:
    check_number("cpu", options.cpu, 0.001, 4096)
    check_whole("memory", options.memory, 1, 1 << 40, unit="MiB")
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
    _gpu_request(options.gpu)
    _check_labels(options.labels)
    check_image(options.image)
    _check_schedule(options.schedule)


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
    if runtime == "gvisor" and _gpu_request(options.gpu)[0]:
        raise InvalidError(
            f'gpu={options.gpu!r} with runtime="gvisor": gVisor gives no GPUs; leave one of them out'
        )
    restricted: object = options.restrict_platform_access
    if not isinstance(restricted, bool):
        raise InvalidError(f"restrict_platform_access={restricted!r} is neither True nor False")
    blocked: object = options.block_network
    if not isinstance(blocked, bool):
        raise InvalidError(f"block_network={blocked!r} is neither True nor False")
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


def _gpu_request(value: object) -> tuple[int, str]:
    if value is None:
        return (0, "")
    if isinstance(value, int) and not isinstance(value, bool):
        check_whole("gpu", value, 0, 1000)
        return (value, "")
    if isinstance(value, str):
        kind, colon, count = value.strip().partition(":")
        how_many = count if colon else "1"
        if kind and how_many.isdecimal() and 1 <= int(how_many) <= 1000:
            return (int(how_many), "" if kind == "any" else kind)
    raise InvalidError(
        f'gpu={value!r} is not a request for devices: write gpu="H100", gpu="H100:2", or gpu=2 for two of any kind'
    )


def check_image(image: object) -> None:
    """Refuse what is no image."""
    if image is None or isinstance(getattr(image, "is_local", None), bool):
        return
    example = (
        f"offload.Image.from_registry({image!r})"
        if isinstance(image, str)
        else "offload.Image.debian_slim()"
    )
    raise InvalidError(f"image={image!r} is not an image: write image={example}")


def _check_schedule(schedule: object) -> None:
    if schedule is None or getattr(schedule, "is_schedule", None) is True:
        return
    example = f"Cron({schedule!r})" if isinstance(schedule, str) else "Period(minutes=5)"
    raise InvalidError(f"schedule={schedule!r} is not a schedule: write schedule=offload.{example}")


def _check_labels(labels: object) -> None:
    if not isinstance(labels, Mapping):
        raise InvalidError(
            f'labels={labels!r} is not a dict of strings: write labels={{"zone": "a"}}'
        )
    for key, value in labels.items():
        if not (isinstance(key, str) and isinstance(value, str)) or not key or "=" in key:
            raise InvalidError(
                f"labels[{key!r}]={value!r}: a label is a string with a string, as a worker's --label KEY=VALUE"
            )


def check_whole(name: str, value: object, low: int, high: int, unit: str = "") -> None:
    """Refuse what is not a whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidError(f"{name}={value!r} is not a whole number{' of ' + unit if unit else ''}")
    check_number(name, value, low, high)


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Refuse what is not a number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidError(f"{name}={value!r} is not a number")
    if not low <= value <= high:
        bound = f"at least {low:g}" if value < low else f"at most {high:g}"
        raise InvalidError(f"{name}={value!r} is out of range: it is {bound}")
