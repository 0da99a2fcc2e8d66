"""Classes of an app as their authors write them: marks, parameters, what is refused, and instances in this process."""

from __future__ import annotations

import asyncio

import pytest

import offload
from offload import errors
from offload.sdk import serialize
from offload.sdk.life_cycle import roles_of

app = offload.App("classes")


@app.cls()
class Model:
    """Says how large it is."""

    size: str = offload.parameter(default="small")
    count: int = offload.parameter(default=1)
    kind = "a constant"

    @offload.enter(snap=True)
    def load(self):
        self.log = ["load"]

    @offload.enter()
    async def connect(self):
        self.log.append("connect")

    @offload.method()
    def predict(self, x):
        self.log.append(x)
        return self.size, self.helper(x), self.log

    @offload.method()
    def items(self):
        yield self.size

    def helper(self, x):
        return x + self.count


@app.cls()
class Child(Model):
    @offload.enter()
    def warm(self):
        self.log.append("warm")

    def connect(self):
        """Overridden without a mark: it is a hook no more."""

    @offload.method()
    def predict(self, x):
        return ("child", *super().predict(x))


def refused(build):
    with pytest.raises(errors.InvalidError) as caught:
        build()
    return str(caught.value)


def with_method(**attributes):
    """A class with one method and these attributes."""

    @offload.method()
    def f(self, x):
        return x

    return type("Some", (), {"f": f, **attributes})


def test_an_instance_here_is_made_and_entered_once_when_it_is_first_used():
    model = Model(size="large")

    first = model.predict.local(1)
    second = model.predict.local(2)

    assert first[:2] == ("large", 2)
    assert second[2] == ["load", "connect", 1, 2]


def test_an_instance_here_is_entered_also_where_a_loop_runs():
    async def use():
        return Model().predict.local(1)

    assert asyncio.run(use()) == ("small", 2, ["load", "connect", 1])


def test_a_class_inherits_methods_and_hooks_and_what_overrides_takes_their_place():
    assert roles_of(Child.user_class).enter == ("warm",)
    assert Child(count=2).predict.local(1) == ("child", "small", 3, ["load", "warm", 1])


def test_parameters_are_read_without_making_the_instance():
    model = Model(size="large")

    assert (model.size, model.count) == ("large", 1)
    assert not vars(model)["_here"].is_made


def test_each_set_of_parameters_has_a_pool_whose_name_says_what_is_not_default():
    assert Model().predict._registered_as is Model(size="small").predict._registered_as
    assert Model(size="x", count=2).predict._registered_as.name == "Model(size='x', count=2)"
    assert app.functions["Model"].named("Model(size='x')") is Model(size="x").predict._registered_as


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Model("large"), "takes its parameters by name"),
        (lambda: Model(speed=1), "its parameters are size, count"),
        (lambda: Model(count="1"), "it is declared as int, not str"),
        (lambda: Model(count=True), "it is declared as int, not bool"),
        (lambda: Model(size="x" * 600), "pass long values to its methods"),
    ],
)
def test_parameters_that_cannot_be_are_refused_where_they_are_given(build, said):
    assert said in refused(build)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: app.cls(Model), "write @app.cls()"),
        (lambda: app.cls()(print), "decorates classes"),
        (lambda: app.cls()(type("Empty", (), {})), "put @offload.method()"),
        (lambda: app.cls(enable_memory_snapshot=1), "neither True nor False"),
        (lambda: app.cls(schedule=offload.Period(minutes=1))(with_method()), "a schedule calls"),
        (lambda: app.cls()(with_method(__init__=lambda self, x: None)), "offload.parameter("),
        (lambda: app.cls()(with_method(p=offload.parameter(default=1))), "has no type"),
        (
            lambda: app.cls()(
                with_method(p=offload.parameter(default=1), __annotations__={"p": "list"})
            ),
            "parameters are str, int, bool or bytes",
        ),
        (
            lambda: app.cls()(
                with_method(p=offload.parameter(default=1), __annotations__={"p": "str"})
            ),
            "declared as str, not int",
        ),
        (lambda: offload.method(print), "write @offload.method()"),
        (lambda: offload.method()(staticmethod(print)), "not staticmethod"),
        (lambda: offload.enter()(offload.method()(lambda self: None)), "another mark"),
        (lambda: offload.exit()(lambda self, x: None), "called with self alone"),
        (lambda: offload.parameter(defualt=1), "parameter(defualt=…) is unknown"),
    ],
)
def test_a_class_that_cannot_serve_is_refused_where_it_is_decorated(build, said):
    assert said in refused(build)


def test_a_method_cannot_share_containers_in_its_own_way_beside_others():
    @offload.concurrent(max_inputs=2)
    def g(self):
        """Run beside itself."""

    said = refused(lambda: app.cls()(with_method(g=offload.method()(g))))

    assert "put @offload.concurrent(…) on the class" in said


def test_concurrent_and_batched_are_options_of_the_class_wherever_they_are_written():
    below = app.cls()(offload.concurrent(max_inputs=3)(with_method()))
    above = offload.concurrent(max_inputs=3)(app.cls()(with_method()))
    changed = app.cls()(with_method()).with_concurrency(max_inputs=3)
    batch = app.cls()(with_method()).with_batching(max_batch_size=5, wait_ms=1)

    assert [each.options.concurrency for each in (below, above, changed)] == [(3, 3)] * 3
    assert batch.options.batching == (5, 1)


def test_a_concurrent_class_has_async_methods_only_or_none():
    async def g(self):
        """Wait for nothing."""

    both = with_method(g=offload.method()(g))

    assert "make all of them async" in refused(
        lambda: app.cls()(offload.concurrent(max_inputs=2)(both))
    )


def test_a_class_with_other_options_has_containers_of_its_own():
    other = Model.with_options(cpu=2.0)

    assert other().predict._registered_as is not Model().predict._registered_as
    assert other().predict._registered_as.is_variant
    assert Model.with_options(priority=3)().predict._registered_as is Model().predict._registered_as
    assert "write Model.with_options(…)" in refused(lambda: Model().predict.with_options(cpu=2.0))


def test_what_is_of_instances_is_not_found_on_the_class():
    assert Model.kind == "a constant"
    with pytest.raises(AttributeError, match=r"write Model\(\)\.predict\.remote"):
        _ = Model.predict


def test_instances_and_their_methods_travel_by_their_parameters():
    model = Model(size="large")

    method = serialize.loads(serialize.dumps(model)).predict
    again = serialize.loads(serialize.dumps(method.with_options(priority=2)))

    assert method.parameters["size"] == "large"
    assert again.call_options.priority == 2


def test_a_class_has_the_secrets_of_its_app_before_its_own():
    first, second = (offload.Secret.from_name(name) for name in ("first", "second"))
    with_secrets = offload.App("with-secrets", secrets=[first])

    made = with_secrets.cls(secrets=[second])(with_method())

    assert made.options.secrets == (first, second)
