"""What a function asks for: a frozen value, checked where the user wrote it. Pure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypedDict

from offload.errors import InvalidError

if TYPE_CHECKING:
    from typing import Unpack

RUNTIMES = ("bubblewrap", "process")


@dataclass(frozen=True, init=False)
class Retries:
    """How often and how patiently an input that failed is tried again; delays in seconds."""

    max_retries: int = 2
    initial_delay: float = 1.0
    backoff_coefficient: float = 2.0
    max_delay: float = 60.0

    def __init__(
        self,
        max_retries: int = 2,
        initial_delay: float = 1.0,
        backoff_coefficient: float = 2.0,
        max_delay: float = 60.0,
    ) -> None:
        # Written out, because a generated __init__ would stand in the traceback after the user's line.
        try:
            _whole("max_retries", max_retries, 0, 1000)
            _number("initial_delay", initial_delay, 0, 86_400)
            _number("backoff_coefficient", backoff_coefficient, 1, 100)
            _number("max_delay", max_delay, 0, 86_400)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        object.__setattr__(self, "max_retries", max_retries)
        object.__setattr__(self, "initial_delay", initial_delay)
        object.__setattr__(self, "backoff_coefficient", backoff_coefficient)
        object.__setattr__(self, "max_delay", max_delay)


class OptionArguments(TypedDict, total=False):
    """The keyword arguments of `App.function` and `Function.with_options`."""

    name: str | None
    cpu: float
    memory: int
    timeout: float
    startup_timeout: float
    retries: int | Retries
    min_containers: int
    max_containers: int
    scaledown_window: float
    runtime: str | None
    block_network: bool
    env: Mapping[str, str]


@dataclass(frozen=True)
class FunctionOptions:
    """The options of one function."""

    name: str | None = None
    cpu: float = 1.0  # cores
    memory: int = 1024  # MiB
    timeout: float = 300.0  # seconds an input may run
    startup_timeout: float = 60.0  # seconds a container may take to be ready
    retries: int | Retries = 0
    min_containers: int = 0
    max_containers: int = 0  # 0: as many as fit
    scaledown_window: float = 60.0  # seconds an idle container stays
    runtime: str | None = None  # None: the worker's default
    block_network: bool = False
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _number("cpu", self.cpu, 0.001, 4096)
        _whole("memory", self.memory, 1, 1 << 40, unit="MiB")
        _number("timeout", self.timeout, 0.001, 31 * 86_400)
        _number("startup_timeout", self.startup_timeout, 0.001, 86_400)
        _number("scaledown_window", self.scaledown_window, 0, 86_400)
        _whole("min_containers", self.min_containers, 0, 100_000)
        _whole("max_containers", self.max_containers, 0, 100_000)
        if self.max_containers and self.min_containers > self.max_containers:
            raise InvalidError(
                f"min_containers={self.min_containers} is more than max_containers={self.max_containers}"
            )
        _check_retries(self.retries)
        _check_names(self)
        object.__setattr__(self, "env", dict(self.env))

    @property
    def retry_policy(self) -> Retries:
        """The retries, however they were written."""
        if isinstance(self.retries, Retries):
            return self.retries
        return Retries(max_retries=self.retries)

    def changed(self, **arguments: Unpack[OptionArguments]) -> FunctionOptions:
        """Return these options with some of them changed."""
        check_option_names(arguments)
        return replace(self, **arguments)


def parse_options(**arguments: Unpack[OptionArguments]) -> FunctionOptions:
    """Check keyword arguments and make options of them. Raises `InvalidError`."""
    return FunctionOptions().changed(**arguments)


def check_option_names(arguments: Mapping[str, object]) -> None:
    """Refuse names that are not options, and say which was probably meant."""
    known = [field.name for field in fields(FunctionOptions)]
    for name in arguments:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(known)}"
            raise InvalidError(f"unknown option {name!r}: {hint}")


def _check_retries(value: object) -> None:
    if isinstance(value, Retries):
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidError(
            f"retries={value!r} is not a number: write retries=3, or retries=offload.Retries(max_retries=3)"
        )
    _whole("retries", value, 0, 1000)


def _check_names(options: FunctionOptions) -> None:
    runtime: object = options.runtime
    if runtime is not None and runtime not in RUNTIMES:
        raise InvalidError(f"runtime={runtime!r} is not one of {', '.join(RUNTIMES)}")
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


def _whole(name: str, value: object, low: int, high: int, unit: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidError(f"{name}={value!r} is not a whole number{' of ' + unit if unit else ''}")
    _number(name, value, low, high)


def _number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidError(f"{name}={value!r} is not a number")
    if not low <= value <= high:
        bound = f"at least {low:g}" if value < low else f"at most {high:g}"
        raise InvalidError(f"{name}={value!r} is out of range: it is {bound}")
