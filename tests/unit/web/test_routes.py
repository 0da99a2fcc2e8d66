"""Which endpoint an address means."""

from __future__ import annotations

import pytest
from tests.support.services import a_function

from offload.control.core.model import Function
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
    routes = Routes(lambda: [_endpoint(workspace, environment)], lambda: 1)

    [(_, found)] = routes.of_function("fu-1")

    assert found == label


def _endpoint(workspace: str, environment: str) -> Function:
    definition = apps_pb2.FunctionDefinition(
        name="api", web=[endpoints_pb2.WebEndpoint(kind="asgi")]
    )
    return a_function(
        name="api",
        app_name="My shop",
        workspace=workspace,
        environment=environment,
        body=definition.SerializeToString(),
    )
