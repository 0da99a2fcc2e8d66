"""Classes of deployed apps, found by name from any process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk import call_options
from offload.sdk.concurrency import batched, concurrent, marks_of
from offload.sdk.deployed import NamedFunction, check_names
from offload.sdk.method import OfMethod
from offload.sdk.named_class import Changed, NamedClass
from offload.sdk.options import parse_options, split_arguments
from offload.sdk.session import current_client
from offload.sdk.values import AppName, ResolvedFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from offload.sdk.options import CallArguments

_KINDS = (str, int, bool, bytes)

# What containers on demand may have otherwise than their class was deployed with.
CHANGEABLE = (
    "cpu", "memory", "ephemeral_disk", "timeout", "startup_timeout", "retries", "max_containers", "buffer_containers",
    "scaledown_window", "gpu", "labels", "env", "secrets", "volumes", "single_use_containers",
)  # fmt: skip


class DeployedClass:
    """A class of a deployed app. Calling it makes an instance, whose methods run in containers."""

    def __init__(self, named: NamedClass) -> None:
        self._named = named
        self.__name__ = self.name = named.name

    def __repr__(self) -> str:
        return f"<Cls {self.name} of deployed app {self._named.app.name!r}>"

    def __call__(self, *misused: object, **parameters: object) -> DeployedInstance:
        """Return an instance with these parameters. The server is asked for it when a method is first called."""
        try:
            if misused:
                raise InvalidError(f"{self.name}() takes its parameters by name")
            for name, value in parameters.items():
                if type(value) not in _KINDS:
                    raise InvalidError(
                        f"{self.name}({name}={value!r:.80}): parameters are str, int, bool or bytes"
                    )
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        return DeployedInstance(self._named, parameters)

    def with_options(self, **options: Unpack[CallArguments]) -> DeployedClass:
        """Return the same class with some options changed: its instances have containers of their own."""
        of_function, of_calls = split_arguments(options)
        try:
            changed = self._named.changed.options.changed(**of_function)
            self._check(of_function)
            calls = self._named.call_options
            if of_calls:
                calls = call_options.changed(calls, of_calls)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        both = Changed(changed, self._named.changed.names.union(of_function))
        return DeployedClass(self._named._replace(changed=both, call_options=calls))

    def with_concurrency(
        self, *, max_inputs: int, target_inputs: int | None = None
    ) -> DeployedClass:
        """Return the same class whose containers run so many inputs at the same time; see `offload.concurrent`."""
        return self._sharing(concurrent(max_inputs=max_inputs, target_inputs=target_inputs))

    def with_batching(self, *, max_batch_size: int, wait_ms: float) -> DeployedClass:
        """Return the same class whose method is called for so many inputs at once; see `offload.batched`."""
        return self._sharing(batched(max_batch_size=max_batch_size, wait_ms=wait_ms))

    def _sharing(self, mark: Callable[..., object]) -> DeployedClass:  # type: ignore[explicit-any]  # a decorator of anything
        def stand_in(value: object) -> None:
            """Carry the mark, whose own numbers alone are wanted."""

        try:
            mark(stand_in)
            concurrency, batching = marks_of(stand_in)
            options = self._named.changed.options.sharing(concurrency, batching)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        name = "concurrency" if batching is None else "batching"
        changed = Changed(options, self._named.changed.names | {name})
        return DeployedClass(self._named._replace(changed=changed))

    def _check(self, given: Mapping[str, object]) -> None:
        for name in given:
            if name == "min_containers":
                raise InvalidError(
                    f"min_containers of {self.name}: containers for parameters or options of a caller's come on demand, and none "
                    "is kept for nobody; scaledown_window= says how long an idle one stays"
                )
            if name not in CHANGEABLE:
                raise InvalidError(
                    f"{name} of {self.name} is what it was deployed with: change it in its program and deploy that again"
                )


class DeployedInstance:
    """An instance of a deployed class, known by its parameters. What is asked of it is a method of it."""

    def __init__(self, named: NamedClass, parameters: Mapping[str, object]) -> None:
        self._named = named
        self._parameters = dict(parameters)

    def __getstate__(self) -> dict[str, object]:
        return {"_named": self._named, "_parameters": self._parameters}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._parameters.items())
        return f"{self._named.name}({values})"

    def __getattr__(self, name: str) -> DeployedMethod:
        if name.startswith("_"):
            raise AttributeError(name)
        made = self.__dict__[name] = DeployedMethod(self._named, self._parameters, name)
        return made


class DeployedMethod(OfMethod):
    """A method of an instance of a deployed class."""

    def __init__(self, named: NamedClass, parameters: Mapping[str, object], method: str) -> None:
        found = _NamedMethod(named, parameters, method)
        super().__init__(found.owner, found.refuse_local, parse_options(name=found.name))
        self.method = method
        self.call_options = named.call_options
        self._named = named
        self._parameters = parameters
        self._found = found

    def __reduce__(self) -> tuple[object, ...]:
        return DeployedMethod, (self._named, self._parameters, self.method)

    def with_options(self, **options: Unpack[CallArguments]) -> DeployedMethod:
        """Return the same method with other options for its calls; those of its containers are the class's."""
        app, name = self._named.app.name, self._named.name
        try:
            calls = self._changed_calls(options, name, f'Cls.from_name("{app}", "{name}")')
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        other = DeployedMethod(
            self._named._replace(call_options=calls), self._parameters, self.method
        )
        other._found = self._found
        return other


class _NamedMethod(NamedFunction):
    """What the server said of a method of an instance. See `NamedFunction`."""

    def __init__(self, named: NamedClass, parameters: Mapping[str, object], method: str) -> None:
        super().__init__(named.app, f"{named.name}.{method}", named.version)
        self._class = named
        self._parameters = parameters
        self._method = method

    async def _look_up(self, app: AppName) -> ResolvedFunction:
        named, method = self._class, self._method
        found = await current_client().deployments.resolve_class(
            named._replace(app=app), self._parameters
        )
        if method not in found.methods:
            raise InvalidError(
                f"{named.name} of app {app.name!r} has no method {method!r}; it has: {', '.join(found.methods)}"
            )
        return ResolvedFunction(found.function_id, found.version, found.methods[method])


def find_class(
    app: str, name: str, version: int | str | None, environment: str | None
) -> DeployedClass:
    """See `Cls.from_name`. Raises `InvalidError` for what can be no name or version."""
    check_names(app, ("class", name), version, 'Cls.from_name("my-app", "MyClass")')
    return DeployedClass(NamedClass(AppName(app, environment=environment or ""), name, version))
