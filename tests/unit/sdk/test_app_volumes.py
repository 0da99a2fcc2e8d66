"""The volumes that an app gives to all of its functions and classes."""

from __future__ import annotations

import pytest

import offload
from offload import errors

ours, own = (offload.Volume.from_name(name) for name in ("ours", "own"))


def test_functions_have_the_volumes_of_their_app_beside_their_own():
    app = offload.App("t", volumes={"/ours": ours, "/data": ours})

    @app.function(volumes={"/own": own, "/data": own})
    def both():
        pass

    @app.function()
    def one():
        pass

    assert both.options.volumes == {"/ours": ours, "/data": own, "/own": own}
    assert one.options.volumes == {"/ours": ours, "/data": ours}


def test_a_class_has_the_volumes_of_its_app():
    app = offload.App("t", volumes={"/ours": ours})

    class Model:
        @offload.method()
        def predict(self):
            pass

    assert app.cls(volumes={"/own": own})(Model).options.volumes == {"/ours": ours, "/own": own}


@pytest.mark.parametrize("volumes", [[ours], {"/data": "ours"}, {"data": ours}])
def test_what_can_be_no_volume_of_an_app_is_refused_where_it_is_written(volumes):
    with pytest.raises(errors.InvalidError, match="volumes"):
        offload.App("t", volumes=volumes)


def test_a_functions_volume_that_would_lie_in_one_of_its_app_is_refused():
    app = offload.App("t", volumes={"/data": ours})

    with pytest.raises(errors.InvalidError, match=r"/data/own.* lies in volumes\['/data'\]"):
        app.function(volumes={"/data/own": own})
