"""Which endpoint an address means."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from tests.support.services import a_function

from offload.control.core.errors import DomainError
from offload.control.core.model import DeploymentKey, Function
from offload.control.frontends.web.routes import Routes
from offload.wire.gen import apps_pb2, endpoints_pb2


@pytest.mark.parametrize(
    ("workspace", "environment", "label"),
    [
        ("default", "main", "my-shop-api"),
        ("default", "dev", "dev-my-shop-api"),
        ("lab", "main", "lab-my-shop-api"),
        ("lab", "dev", "lab-dev-my-shop-api"),
    ],
)
def test_endpoints_of_one_name_have_hosts_of_their_own_in_each_workspace_and_environment(
    workspace: str, environment: str, label: str
) -> None:
    routes = Routes(lambda: [_serving(workspace, environment)], lambda: 1)

    [(_, found)] = routes.of_function("fu-1")

    assert found == label


def test_a_deployment_takes_no_label_of_another_app() -> None:
    routes = Routes(lambda: [_serving("lab", "main", label="front")], lambda: 1)
    other, same = DeploymentKey("lab", "dev", "My shop"), DeploymentKey("lab", "main", "My shop")

    with pytest.raises(DomainError) as refused:
        routes.require_own_labels(other, [_definition("front")], lambda _: True)

    assert refused.value.message == (
        "The label 'front' of 'api' is that of 'api' of app 'My shop' in environment 'main' already: "
        "give it another one with label=."
    )
    routes.require_own_labels(same, [_definition("front")], lambda _: True)
    routes.require_own_labels(other, [_definition("front")], lambda _: False)
    routes.require_own_labels(other, [_definition("")], lambda _: True)


def test_two_endpoints_of_a_deployment_have_two_labels() -> None:
    routes = Routes(list, lambda: 1)
    one, other = _definition("front"), _definition("front")
    other.name = "other"

    with pytest.raises(DomainError, match="'front' of 'other' is that of 'api' already"):
        routes.require_own_labels(
            DeploymentKey("lab", "main", "My shop"), [one, other], lambda _: True
        )


def test_a_function_without_endpoints_is_read_once() -> None:
    changes = count()
    plain = a_function(body=apps_pb2.FunctionDefinition(name="plain").SerializeToString())
    bodies = iter([plain.body])
    routes = Routes(lambda: [replace(plain, body=next(bodies, b"\xff"))], lambda: next(changes))

    found = [list(routes.of_function(plain.function_id)) for _ in range(3)]

    assert found == [[], [], []]


def _definition(label: str) -> apps_pb2.FunctionDefinition:
    web = endpoints_pb2.WebEndpoint(kind="asgi", label=label)
    return apps_pb2.FunctionDefinition(name="api", web=[web])


def _serving(workspace: str, environment: str, label: str = "") -> Function:
    return a_function(
        name="api",
        app_name="My shop",
        workspace=workspace,
        environment=environment,
        body=_definition(label).SerializeToString(),
    )
