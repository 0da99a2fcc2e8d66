"""Classes as their callers know them: what an instance's parameters may be, and which methods it has. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from offload.control.core.errors import DomainError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping

Value: TypeAlias = str | int | bool | bytes

# The values are part of the name that their containers have, which people read.
MAX_VALUES_CHARACTERS = 500

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class ClassParameter:
    """A field that whoever makes an instance may set."""

    name: str
    kind: str  # "str", "int", "bool" or "bytes"
    default: Value | None = None  # None: it has to be given
    is_settable: bool = True


@dataclass(frozen=True, slots=True)
class ClassMethod:
    """What can be called of an instance."""

    name: str
    is_generator: bool = False


@dataclass(frozen=True, slots=True)
class ClassShape:
    """A class without its code."""

    parameters: tuple[ClassParameter, ...] = ()  # in the order of their declaration
    methods: tuple[ClassMethod, ...] = ()

    @property
    def needs_parameters(self) -> bool:
        """Whether there is no instance for which none is given."""
        return any(each.is_settable and each.default is None for each in self.parameters)

    def complete(self, class_name: str, given: Mapping[str, Value]) -> dict[str, Value]:
        """Return every parameter that has a value. Raises `DomainError` for one that cannot be, and for one that is missing."""
        settable = {each.name: each for each in self.parameters if each.is_settable}
        for name, value in given.items():
            if name not in settable:
                hint = f"its parameters are {', '.join(settable)}" if settable else "it has none"
                raise _wrong(f"{class_name}({name[:80]}=…): {hint}")
            kind = settable[name].kind
            if type(value).__name__ != kind:
                raise _wrong(
                    f"{class_name}({name}={value!r:.80}): it is declared as {kind}, not {type(value).__name__}"
                )
        values: dict[str, Value] = {}
        for each in self.parameters:
            if each.name in given:
                values[each.name] = given[each.name]
            elif each.default is not None:
                values[each.name] = each.default
            elif each.is_settable:
                raise _wrong(f"{class_name}() needs {each.name}: write {class_name}({each.name}=…)")
        return values

    def read(self, class_name: str, texts: Mapping[str, str]) -> dict[str, Value]:
        """Return those parameters that the texts give, as their types say; what is no parameter is left alone.

        Raises `DomainError` for a text that is no such value.
        """
        return {
            each.name: _read(class_name, each, texts[each.name])
            for each in self.parameters
            if each.is_settable and each.name in texts
        }

    def pool_name(self, class_name: str, values: Mapping[str, Value]) -> str:
        """Return what containers with these values are called: those that are not the default are in it."""
        defaults = {each.name: each.default for each in self.parameters}
        shown = [f"{name}={value!r}" for name, value in values.items() if defaults[name] != value]
        text = ", ".join(shown)
        if len(text) > MAX_VALUES_CHARACTERS:
            raise _wrong(
                f"The parameters of {class_name} take {len(text)} characters, more than {MAX_VALUES_CHARACTERS}: pass long "
                "values to its methods"
            )
        return f"{class_name}({text})" if text else class_name


@dataclass(frozen=True, slots=True)
class Changes:
    """Options in which containers differ from those of their class: an encoded FunctionDefinition, and which of its fields count."""

    body: bytes = b""
    fields: tuple[str, ...] = ()


NO_CHANGES = Changes()


def _read(class_name: str, parameter: ClassParameter, text: str) -> Value:
    if parameter.kind == "str":
        return text
    if parameter.kind == "bytes":
        return text.encode()
    try:
        # Longer numbers take Python quadratic time, and none is meant.
        return int(text[:100]) if parameter.kind == "int" else _FLAGS[text.lower()]
    except (ValueError, KeyError):
        raise _wrong(
            f"{class_name}: {parameter.name}={text[:80]!r} is no {parameter.kind}"
        ) from None


def _wrong(text: str) -> DomainError:
    return DomainError(ErrorCode.INVALID, f"{text}.")
