"""Classes whose instances live in containers: one pool of containers for each set of parameters, which serves all methods."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from offload.errors import InvalidError
from offload.sdk import call_options
from offload.sdk.class_checks import (
    check_sharing,
    complete,
    has_generator,
    pool_name,
)
from offload.sdk.class_shape import settable
from offload.sdk.concurrency import batched, concurrent, marks_of
from offload.sdk.function import Function
from offload.sdk.kinds import is_generator
from offload.sdk.life_cycle import Blueprint, Parameter, roles_of
from offload.sdk.local_instance import LocalInstance
from offload.sdk.method import OfMethod
from offload.sdk.options import split_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol, TypeAlias, Unpack

    from offload.sdk.call_options import CallOptions
    from offload.sdk.deployed_class import DeployedClass
    from offload.sdk.inside import InsideRun
    from offload.sdk.options import (
        Batching,
        CallArguments,
        Concurrency,
        FunctionOptions,
    )
    from offload.sdk.run import AppRun

    class ClassOwner(Protocol):
        """What a class asks of its app."""

        name: str
        functions: dict[str, Function[..., object, object]]  # type: ignore[explicit-any]  # as the app has them

        def current_run(self, wanted: str) -> AppRun | InsideRun:
            """See `FunctionOwner`."""
            ...

    AnyCls: TypeAlias = "Cls[Any]"  # type: ignore[explicit-any]  # of whichever class

T = TypeVar("T")


class Cls(Generic[T]):
    """A class of an app. Calling it makes an instance, whose methods run here or in containers."""

    def __init__(
        self,
        app: ClassOwner,
        user_class: type[T],
        options: FunctionOptions,
        call_options: CallOptions | None = None,
        *,
        snapshot: bool = False,
    ) -> None:
        check_sharing(user_class, options)
        self.app = app
        self.user_class = user_class
        self.options = options
        self.call_options = call_options
        self.snapshot = snapshot
        self.name = str(options.name or user_class.__name__)
        self._is_variant = False
        self._pools: dict[str, Pool] = {}
        self.__doc__ = user_class.__doc__
        self.__name__ = self.name
        self.__qualname__ = user_class.__qualname__
        self.__module__ = user_class.__module__
        self.__wrapped__ = user_class

    @staticmethod
    def from_name(
        app: str,
        name: str,
        *,
        version: int | str | None = None,
        environment_name: str | None = None,
    ) -> DeployedClass:
        """Return a class of a deployed app, to use from any process. Looked up when a method of an instance is first called.

        Which version is used, and which environment is looked in, is as in `Function.from_name`.
        """
        from offload.sdk.deployed_class import find_class  # noqa: PLC0415 - it needs this module

        try:
            return find_class(app, name, version, environment_name)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise

    def __getstate__(self) -> dict[str, object]:
        # What travels to a container is the definition; its pools are of the caller's run.
        options = self.options._replace(image=None, schedule=None, secrets=())  # not for user code
        return {**self.__dict__, "_pools": {}, "options": options}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"<Cls {self.name} of {self.app}>"

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        # `class Child(Model)` inherits from what was decorated.
        return (self.user_class,)

    def __call__(self, *misused: object, **parameters: object) -> T:
        """Return an instance with these parameters. Nothing is made of it before it is used."""
        try:
            if misused:
                raise InvalidError(f"{self.name}() takes its parameters by name")
            values = complete(self.user_class, parameters)
            self.pool(values)  # it says what cannot be a name
            return cast("T", Instance(self, values))  # to its user it is what it stands for
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise

    def __getattr__(self, name: str) -> object:
        if name.startswith("_") or "user_class" not in self.__dict__:
            raise AttributeError(name)
        value: object = getattr(self.user_class, name)
        if callable(value) or isinstance(value, Parameter):
            raise AttributeError(  # noqa: TRY004  # it is what attributes raise
                f"{self.name}.{name} is of instances: write {self.name}().{name}"
                + (".remote(…)" if name in roles_of(self.user_class).methods else "")
            )
        return value

    def with_options(self, **options: Unpack[CallArguments]) -> Cls[T]:
        """Return the same class with some options changed; this one stays as it is, and each has containers of its own."""
        of_function, of_calls = split_arguments(options)
        try:
            changed = self.options.changed(**of_function)
            calls = call_options.changed(self.call_options, of_calls)
            return self._with(changed, calls)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise

    def with_concurrency(self, *, max_inputs: int, target_inputs: int | None = None) -> Cls[T]:
        """Return the same class whose containers run so many inputs at the same time; see `offload.concurrent`."""
        mark = concurrent(max_inputs=max_inputs, target_inputs=target_inputs)
        return self._sharing(mark)

    def with_batching(self, *, max_batch_size: int, wait_ms: float) -> Cls[T]:
        """Return the same class whose method is called for so many inputs at once; see `offload.batched`."""
        return self._sharing(batched(max_batch_size=max_batch_size, wait_ms=wait_ms))

    def share_containers(self, concurrency: Concurrency | None, batching: Batching | None) -> None:
        """Change how its containers share out its inputs, as decorators above `@app.cls()` want it."""
        changed = self.options.sharing(concurrency, batching)
        check_sharing(self.user_class, changed)
        self.options = changed
        for pool in self._pools.values():
            pool.options = changed

    def pool(self, parameters: Mapping[str, object], name: str = "") -> Pool:
        """Return the function that stands for the containers with these parameters."""
        name = name or pool_name(self.name, self.user_class, parameters)
        known = self._pools.get(name)
        if known is None:
            known = self._pools[name] = Pool(self, name, parameters, is_variant=self._is_variant)
        return known

    def _sharing(self, mark: Callable[..., object]) -> Cls[T]:  # type: ignore[explicit-any]  # a decorator of anything
        def stand_in(value: object) -> None:
            """Carry the mark, whose own numbers alone are wanted."""

        try:
            mark(stand_in)
            return self._with(self.options.sharing(*marks_of(stand_in)), self.call_options)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise

    def _with(self, options: FunctionOptions, calls: CallOptions | None) -> Cls[T]:
        other = Cls(self.app, self.user_class, options, calls, snapshot=self.snapshot)
        other._is_variant = self._is_variant or options != self.options  # of our own class
        if options == self.options:
            other._pools = self._pools
        return other


class Instance:
    """An instance of a class, known by its parameters. Its methods have `remote` and the others; what else it has is made here."""

    def __init__(self, cls: AnyCls, parameters: dict[str, object]) -> None:
        self._cls = cls
        self._parameters = parameters
        self._here = LocalInstance(cls.user_class, parameters)

    def __getstate__(self) -> dict[str, object]:
        # Its methods and what was made here stay here.
        return {"_cls": self._cls, "_parameters": self._parameters}

    def __setstate__(self, state: dict[str, object]) -> None:
        cls, parameters = cast("tuple[AnyCls, dict[str, object]]", tuple(state.values()))
        self.__dict__.update(state)
        self._here = LocalInstance(cls.user_class, parameters)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._parameters.items())
        return f"{self._cls.name}({values})"

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or "_here" not in self.__dict__:
            raise AttributeError(name)
        if name in roles_of(self._cls.user_class).methods:
            made = self.__dict__[name] = Method(self._cls, self._parameters, self._here, name)
            return made
        if name in self._parameters and not self._here.is_made:
            return self._parameters[name]
        return getattr(self._here.get(), name)


class Pool(Function[..., Any, Any]):  # type: ignore[explicit-any]  # its methods have their types
    """What the containers with one set of parameters are to the server: one function, whose inputs name a method."""

    is_class = True

    def __init__(
        self,
        cls: AnyCls,
        name: str,
        parameters: Mapping[str, object],
        *,
        is_variant: bool = False,
    ) -> None:
        self.app = cls.app
        self.options = cls.options
        self.call_options = cls.call_options
        self.name = self.__name__ = name
        self.is_generator = has_generator(cls.user_class)
        self.has_exit_hooks = bool(roles_of(cls.user_class).exit)
        self.raw_function = Blueprint(cls.user_class, dict(parameters), cls.snapshot)  # type: ignore[assignment]
        self.cls = cls
        self._registered_as = self
        self._was_variant = is_variant
        self._found = None

    def __getstate__(self) -> dict[str, object]:
        return {"cls": self.cls, "name": self.name, "parameters": self.raw_function.parameters}  # type: ignore[attr-defined]

    @property
    def of_class(self) -> tuple[str, Mapping[str, object]] | None:
        """The class and the parameters that its name is made of; None where it has those of the class itself."""
        if self.name == self.cls.name:
            return None
        blueprint = cast("Blueprint", self.raw_function)
        return self.cls.name, settable(self.cls.user_class, blueprint.parameters)

    def named(self, name: str) -> Pool | None:
        """Return the pool of this name, which has its parameters in it; None where none can have it."""
        parameters = _parameters_in(name)
        if parameters is None or name == self.name:
            return self if name == self.name else None
        values = complete(self.cls.user_class, parameters)
        found = self.cls.pool(values)
        return found if found.name == name else None


class Method(OfMethod):
    """A method of an instance: a function whose inputs go to the instance's containers."""

    def __init__(
        self, cls: AnyCls, parameters: Mapping[str, object], here: LocalInstance, method: str
    ) -> None:
        function = getattr(cls.user_class, method)
        self.cls = cls
        self.parameters = parameters
        self.here = here
        self.method = method
        self.app = cls.app
        self.options = cls.options
        self.call_options = cls.call_options
        self.name = self.__name__ = f"{cls.name}.{method}"
        self.is_generator = is_generator(function)
        self.raw_function = partial(here.call, method)
        self.__doc__ = function.__doc__
        self.__module__ = str(function.__module__)
        self.__wrapped__ = function
        self._registered_as = cls.pool(parameters)
        self._was_variant = False
        self._found = None

    def __reduce__(self) -> tuple[object, ...]:
        # What was made here stays here.
        return _restore_method, (self.cls, self.parameters, self.method, self.call_options)

    def with_options(self, **options: Unpack[CallArguments]) -> Method:
        """Return the same method with other options for its calls; those of its containers are the class's."""
        try:
            calls = self._changed_calls(options, self.cls.name, self.cls.name)
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        other = Method(self.cls, self.parameters, self.here, self.method)
        other.call_options = calls
        return other


def _restore_method(
    cls: AnyCls, parameters: Mapping[str, object], method: str, calls: CallOptions | None
) -> Method:
    here = LocalInstance(cls.user_class, parameters)
    restored = Method(cls, parameters, here, method)
    restored.call_options = calls
    return restored


def _parameters_in(name: str) -> dict[str, object] | None:
    import ast  # noqa: PLC0415 - needed where a container calls a class by its parameters

    try:
        call = ast.parse(name, mode="eval").body
        if isinstance(call, ast.Call):
            return {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError):
        pass
    return None
