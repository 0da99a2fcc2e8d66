"""What a function without an image is sent with for workers of other machines."""

from __future__ import annotations

import pytest
from tests.support.sdk_server import fake_server

import offload
from offload.sdk.source import PYTHON_VERSION
from offload.wire.host import host_id

app = offload.App("elsewhere")


@app.function()
def square(x):
    return x * x


@app.function(image=offload.Image.local())
def at_home(x):
    return -x


@pytest.fixture
def server():
    with fake_server() as running:
        yield running


def test_where_no_worker_is_here_a_minimal_debian_of_the_same_python_stands_in(server):
    server.has_worker_here = False

    with app.run():
        square.remote(3)

    definition = server.definitions[0]
    assert server.apps[0].host_id == host_id() == definition.local_image.host_id
    (step,) = definition.image_elsewhere.steps
    assert (step.kind, dict(step.settings)) == ("debian_slim", {"python": PYTHON_VERSION})
    assert not definition.HasField("image")


def test_where_a_worker_is_here_nothing_stands_in(server):
    with app.run():
        square.remote(3)

    assert not server.definitions[0].HasField("image_elsewhere")


def test_nothing_stands_in_for_the_environment_that_was_asked_for(server):
    server.has_worker_here = False

    with app.run():
        at_home.remote(3)

    assert not server.definitions[0].HasField("image_elsewhere")


def test_a_deployed_function_goes_elsewhere_where_no_worker_is_here_and_only_then(server):
    app.deploy()
    server.has_worker_here = False
    app.deploy()

    here, elsewhere = (
        {each.name: each.HasField("image_elsewhere") for each in request.functions}
        for request in server.deployed
    )

    assert here == {"square": False, "at_home": False}
    assert elsewhere == {"square": True, "at_home": False}
