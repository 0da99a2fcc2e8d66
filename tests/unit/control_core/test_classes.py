"""What may be parameters of a class, and what its containers are called."""

from __future__ import annotations

import pytest

from offload.control.core.classes import ClassMethod, ClassParameter, ClassShape, Value
from offload.control.core.errors import DomainError, ErrorCode

SHAPE = ClassShape(
    (
        ClassParameter("language", "str", "en"),
        ClassParameter("times", "int", 1),
        ClassParameter("loud", "bool", default=False),
        ClassParameter("key", "bytes", b""),
        ClassParameter("kept", "str", "own", is_settable=False),
    ),
    (ClassMethod("greet"),),
)
DEFAULTS: dict[str, Value] = {
    "language": "en", "times": 1, "loud": False, "key": b"", "kept": "own",
}  # fmt: skip


def test_what_is_not_given_has_its_default() -> None:
    assert SHAPE.complete("Greeter", {}) == DEFAULTS
    assert SHAPE.complete("Greeter", {"times": 0}) == {**DEFAULTS, "times": 0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"langage": "de"}, r"its parameters are language, times, loud, key"),
        ({"kept": "x"}, r"Greeter\(kept=…\): its parameters are"),
        ({"language": 1}, r"Greeter\(language=1\): it is declared as str, not int"),
        ({"times": True}, r"declared as int, not bool"),
        ({"loud": 1}, r"declared as bool, not int"),
    ],
)
def test_what_cannot_be_a_parameter_is_refused(given: dict[str, Value], said: str) -> None:
    with pytest.raises(DomainError, match=said) as caught:
        SHAPE.complete("Greeter", given)

    assert caught.value.code is ErrorCode.INVALID


def test_a_parameter_without_a_default_is_asked_for() -> None:
    needy = ClassShape((ClassParameter("language", "str"),))

    assert needy.needs_parameters
    assert not SHAPE.needs_parameters
    with pytest.raises(
        DomainError, match=r"Greeter\(\) needs language: write Greeter\(language=…\)"
    ):
        needy.complete("Greeter", {})


def test_texts_are_read_as_their_types_say_and_others_are_left_alone() -> None:
    texts = {"times": "-3", "loud": "true", "key": "ab", "page": "2", "kept": "x"}

    assert SHAPE.read("Greeter", texts) == {"times": -3, "loud": True, "key": b"ab"}


@pytest.mark.parametrize(("name", "text"), [("times", "many"), ("times", ""), ("loud", "perhaps")])
def test_a_text_that_is_no_such_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(DomainError, match=f"Greeter: {name}='{text}' is no (int|bool)"):
        SHAPE.read("Greeter", {name: text})


def test_containers_are_called_by_what_is_not_default() -> None:
    values = SHAPE.complete("Greeter", {"language": "de", "loud": True})

    assert SHAPE.pool_name("Greeter", values) == "Greeter(language='de', loud=True)"
    assert SHAPE.pool_name("Greeter", DEFAULTS) == "Greeter"
    with pytest.raises(DomainError, match="more than 500: pass long values to its methods"):
        SHAPE.pool_name("Greeter", SHAPE.complete("Greeter", {"language": "x" * 600}))
