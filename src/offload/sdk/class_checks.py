"""Whether a class can serve inputs, and whether values can be its parameters. Pure; what refuses says how to write it."""

from __future__ import annotations

import sys
from inspect import get_annotations
from types import FunctionType
from typing import TYPE_CHECKING

from offload.errors import InvalidError
from offload.sdk.concurrency import Marks, check_batched, marks_of
from offload.sdk.kinds import is_generator
from offload.sdk.life_cycle import parameters_of, roles_of
from offload.sdk.web_marks import ON_LOOP, endpoint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.sdk.life_cycle import Parameter
    from offload.sdk.options import FunctionOptions

TYPES = {"str": str, "int": int, "bool": bool, "bytes": bytes}

# The values are part of the name that its containers have, which people read and the server looks for.
MAX_VALUES_CHARS = 500

_CO_ASYNC = 0x80 | 0x200  # inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def check_class(user_class: object) -> None:
    """Refuse what cannot be made an instance of in a container, or has nothing to call."""
    if not isinstance(user_class, type):
        raise InvalidError(f"@app.cls() decorates classes, not {type(user_class).__name__}")
    name = user_class.__name__
    if not roles_of(user_class).methods:
        raise InvalidError(f"{name} has nothing to call: put @offload.method() on its methods")
    constructor: object = user_class.__init__  # type: ignore[misc]  # its own, not an instance's
    if isinstance(constructor, FunctionType) and not _takes_self_alone(constructor):
        raise InvalidError(
            f"the constructor of {name} takes arguments, and its instances are made in containers: declare them as fields, "
            'size: str = offload.parameter(default="small")'
        )
    for parameter_name, parameter in parameters_of(user_class).items():
        kind = type_of(user_class, parameter_name)
        if parameter.has_default:
            check_value(name, parameter_name, parameter.default, kind)


def type_of(user_class: type, parameter: str) -> type:
    """Return the type that a parameter is declared with."""
    for owner in user_class.__mro__:
        declared: object = get_annotations(owner).get(parameter)
        if declared is None:
            continue
        for name, kind in TYPES.items():
            if declared in (name, kind):
                return kind
        raise InvalidError(
            f"the parameter {parameter} of {user_class.__name__} is declared as {declared!r}: parameters are str, int, bool or "
            "bytes"
        )
    raise InvalidError(
        f"the parameter {parameter} of {user_class.__name__} has no type: write {parameter}: str = offload.parameter(…)"
    )


def check_value(class_name: str, parameter: str, value: object, kind: type) -> None:
    """Refuse a value that is not of the parameter's type."""
    if type(value) is not kind:
        raise InvalidError(
            f"{class_name}({parameter}={value!r:.80}): it is declared as {kind.__name__}, not {type(value).__name__}"
        )


def complete(user_class: type, given: Mapping[str, object]) -> dict[str, object]:
    """Return every parameter that has a value, checked, in the order of their declaration."""
    declared = parameters_of(user_class)
    name = user_class.__name__
    for unknown in given:
        parameter = declared.get(unknown)
        if parameter is None or not parameter.init:
            known = ", ".join(each for each in declared if declared[each].init)
            hint = f"its parameters are {known}" if known else "it has no parameters"
            raise InvalidError(f"{name}({unknown}=…): {hint}")
    values = {}
    for each, parameter in declared.items():
        if each in given:
            check_value(name, each, given[each], type_of(user_class, each))
            values[each] = given[each]
        elif parameter.has_default:
            values[each] = parameter.default
        elif parameter.init:
            raise InvalidError(f"{name}() needs {each}: write {name}({each}=…)")
    return values


def pool_name(class_name: str, user_class: type, values: Mapping[str, object]) -> str:
    """Return the name of the containers with these values: those that are not the default are in it."""
    declared: Mapping[str, Parameter] = parameters_of(user_class)
    shown = [
        f"{each}={value!r}"
        for each, value in values.items()
        if not declared[each].has_default or declared[each].default != value
    ]
    text = ", ".join(shown)
    if len(text) > MAX_VALUES_CHARS:
        raise InvalidError(
            f"the parameters of {class_name} take {len(text)} characters, more than {MAX_VALUES_CHARS}: pass long values to its "
            "methods"
        )
    return f"{class_name}({text})" if text else class_name


def marks_of_class(user_class: type) -> Marks:
    """Return what `@concurrent` and `@batched` say of a class and its methods. Raises `InvalidError`."""
    roles = roles_of(user_class)
    functions = {name: getattr(user_class, name) for name in roles.methods}
    concurrency = batching = None
    for marked in (*functions.values(), *user_class.__mro__):
        marks = marks_of(marked)
        concurrency = concurrency or marks.concurrency
        batching = batching or marks.batching
    only_marked = [name for name, function in functions.items() if any(marks_of(function))]
    if only_marked and len(functions) > 1:
        others = ", ".join(f"{each}()" for each in functions if each != only_marked[0])
        raise InvalidError(
            f"{only_marked[0]}() of {user_class.__name__} is @concurrent or @batched, and its containers also serve {others}: put "
            "@offload.concurrent(…) on the class, and a batched method into a class of its own"
        )
    return Marks(concurrency, batching)


def with_class_marks(user_class: type, options: FunctionOptions) -> FunctionOptions:
    """Return the options with what decorators have left on a class and its methods. Raises `InvalidError`."""
    options = marks_of_class(user_class).added_to(options)
    if "offload.sdk.web" not in sys.modules:
        return options  # then there are no such decorators
    from offload.sdk.web import web_of_class  # noqa: PLC0415 - see above

    web = web_of_class(user_class)
    return options if web is None else web.added_to(options)


def check_sharing(user_class: type, options: FunctionOptions) -> None:
    """Refuse options that the class's methods cannot have together."""
    methods = roles_of(user_class).methods
    name = user_class.__name__
    if options.schedule is not None:
        raise InvalidError(
            f"schedule= of {name}: a schedule calls a function; write one that calls {name}().{methods[0]}.remote()"
        )
    functions = [getattr(user_class, each) for each in methods]
    if options.batching is not None:
        if len(functions) > 1:
            raise InvalidError(
                f"{name} is batched and has {len(functions)} methods: a batch is of one, so give each a class of its own"
            )
        check_batched(functions[0])
        if _takes_self_alone(functions[0]):
            raise InvalidError(
                f"{methods[0]}() of {name} takes no arguments, and a batched method gets a list for each: give it one"
            )
    if options.concurrency is not None and options.concurrency.max_inputs > 1:
        kinds = {_is_async(each) for each in functions}
        if len(kinds) > 1:
            raise InvalidError(
                f"{name} is concurrent and has async methods beside others, which would hold up the event loop: make all of "
                "them async, or none"
            )


def _is_async(function: FunctionType) -> bool:
    endpoint = endpoint_of(function)
    if endpoint is not None and endpoint.kind in ON_LOOP:
        return True
    return bool(function.__code__.co_flags & _CO_ASYNC)


def has_generator(user_class: type) -> bool:
    """Whether one of its methods yields."""
    return any(is_generator(getattr(user_class, each)) for each in roles_of(user_class).methods)


def _takes_self_alone(function: FunctionType) -> bool:
    code = function.__code__
    has_more = code.co_flags & (0x04 | 0x08)  # inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    return code.co_argcount == 1 and not code.co_kwonlyargcount and not has_more
