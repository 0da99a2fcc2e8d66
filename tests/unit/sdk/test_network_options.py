"""What a function may say of its network, and what is refused where it is written."""

from __future__ import annotations

import pytest

import offload
from offload.errors import InvalidError
from offload.sdk.client.translate import set_options
from offload.sdk.options import parse_options
from offload.wire.gen import apps_pb2


def sent(**options: object) -> apps_pb2.FunctionDefinition:
    """Return what a function with these options sends."""
    definition = apps_pb2.FunctionDefinition()
    set_options(definition, parse_options(**options))  # type: ignore[arg-type]  # it looks at each
    return definition


def test_without_a_word_everything_is_reached() -> None:
    definition = sent()

    assert (definition.block_network, definition.HasField("allow_list")) == (False, False)


def test_lists_are_sent_in_their_plain_form() -> None:
    definition = sent(
        outbound_cidr_allowlist=["10.0.0.0/8", "192.0.2.7"],
        outbound_domain_allowlist=["Example.ORG.", "*.example.org", "bücher.example"],
    )

    assert list(definition.allow_list.cidrs) == ["10.0.0.0/8", "192.0.2.7/32"]
    assert list(definition.allow_list.domains) == [
        "example.org",
        "*.example.org",
        "xn--bcher-kva.example",
    ]


@pytest.mark.parametrize(
    "lists",
    [
        {"outbound_cidr_allowlist": []},
        {"outbound_domain_allowlist": ()},
        {"outbound_cidr_allowlist": [], "outbound_domain_allowlist": []},
    ],
)
def test_empty_lists_block_the_network(lists: dict[str, object]) -> None:
    definition = sent(**lists)

    assert (definition.block_network, definition.HasField("allow_list")) == (True, False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"block_network": "yes"}, "neither True nor False"),
        ({"block_network": True, "outbound_cidr_allowlist": []}, "leave one of them out"),
        ({"outbound_cidr_allowlist": "10.0.0.0/8"}, 'write outbound_cidr_allowlist=["10.0.0.0/8"]'),
        ({"outbound_cidr_allowlist": [10]}, "not a list of strings"),
        ({"outbound_cidr_allowlist": ["10.1.2.3/8"]}, "write '10.0.0.0/8'"),
        ({"outbound_cidr_allowlist": ["example.org"]}, "outbound_domain_allowlist"),
        ({"outbound_cidr_allowlist": ["2001:db8::/32"]}, "no IPv6"),
        ({"outbound_cidr_allowlist": ["10.0.0.0/8"] * 257}, "at most 256"),
        ({"outbound_domain_allowlist": ["*"]}, "to reach everything leave out"),
        ({"outbound_domain_allowlist": ["https://example.org/"]}, "without scheme"),
        ({"outbound_domain_allowlist": ["a.*.example.org"]}, "is no name"),
        ({"outbound_domain_allowlist": ["192.0.2.1"]}, "is an address"),
        ({"outbound_domain_allowlist": ["a..b"]}, "is no name"),
    ],
)
def test_what_cannot_be_held_is_refused_where_it_is_written(
    options: dict[str, object], said: str
) -> None:
    app = offload.App("network")

    with pytest.raises(InvalidError) as error:
        app.function(**options)  # type: ignore[call-overload]  # wrong on purpose

    assert said in str(error.value)


def test_a_plain_process_takes_no_policy() -> None:
    with pytest.raises(InvalidError, match="reaches the whole network"):
        parse_options(runtime="process", block_network=True)
