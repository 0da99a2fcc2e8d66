"""Containers of a class for the parameters of its callers, on services in memory with a worker of the test's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.control_fakes import KnobStore
from tests.support.deploying import KEY, PickyWorker, play

from offload.control.core.classes import Changes
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.model import CallKind, Function
from offload.control.frontends.rpc.apps import function_of
from offload.control.services.assembly import Services
from offload.control.services.deployments import Deployed, NewVersion
from offload.control.services.submission import CallOptions, NewCall, NewInput
from offload.wire.gen import apps_pb2


def a_class(number: int, *, has_default: bool = True, **options: object) -> Function:
    """Return what stands for a class with the parameters `language` and `times`."""
    definition = apps_pb2.FunctionDefinition(
        name="Greeter", cpu_milli=100, memory_mib=64, timeout_seconds=60, startup_timeout_seconds=10,
        scaledown_window_seconds=30, python_version=str(number), **options,  # type: ignore[arg-type]
    )  # fmt: skip
    default = apps_pb2.ParameterValue(text="en") if has_default else None
    shape = definition.class_shape
    shape.parameters.add(name="language", type="str", default=default, is_settable=True)
    one = apps_pb2.ParameterValue(number="1")
    shape.parameters.add(name="times", type="int", default=one, is_settable=True)
    shape.methods.add(name="greet")
    shape.methods.add(name="letters", is_generator=True)
    return function_of(definition, f"ap-{number}")


async def deploy(services: Services, number: int, **options: object) -> str:
    """Deploy a version with the class; return the class's id."""
    function = a_class(number, **options)  # type: ignore[arg-type]
    new = NewVersion(KEY, f"ap-{number}", f"digest {number}", [function])
    last: object = None
    async for news in services.deployments.deploy(new):
        last = news
    assert isinstance(last, Deployed)
    return function.function_id


def a_call(call_id: str, function_id: str, *, any_version: bool = False) -> NewCall:
    return NewCall(
        call_id, function_id, CallKind.SINGLE, attached=False, durable=True, closed=True,
        options=CallOptions(any_version=any_version),
    )  # fmt: skip


def test_each_set_of_parameters_has_containers_of_its_own_and_the_defaults_have_those_of_the_class() -> (
    None
):
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        class_id = await deploy(services, 1, min_containers=1)
        german = await services.classes.pool_for(class_id, {"language": "de"})
        again = await services.classes.pool_for(class_id, {"times": 1, "language": "de"})
        usual = await services.classes.pool_for(class_id, {"language": "en"})
        row = await services.calls.run("fc-1", german.function_id, NewInput(0, b"hi"))

        assert german == again
        assert german.name == "Greeter(language='de')"
        assert (german.app_id, german.app_name) == ("ap-1", "shop")
        assert german.scaling.min_containers == 0
        assert usual.function_id == class_id
        assert row.body == b"hi"
        assert store.function(german.function_id) == german

    play(scenario)


def test_parameters_in_a_query_string_lead_to_the_same_containers() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        class_id = await deploy(services, 1)
        by_value = await services.classes.pool_for(class_id, {"language": "de", "times": 2})
        texts = {"language": "de", "times": "2", "page": "7"}

        assert await services.classes.pool_for_texts(class_id, texts) == by_value
        with pytest.raises(DomainError, match="times='two' is no int"):
            await services.classes.pool_for_texts(class_id, {"times": "two"})

    play(scenario)


def test_a_class_whose_parameters_have_to_be_given_is_deployed_without_starting_it() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        class_id = await deploy(services, 1, has_default=False, min_containers=2)
        german = await services.classes.pool_for(class_id, {"language": "de"})
        await services.calls.run("fc-1", german.function_id, NewInput(0, b"hi"))

        assert {function_id for _, function_id in worker.log} & {class_id} == set()
        with pytest.raises(DomainError, match="needs language"):
            await services.classes.pool_for(class_id, {})

    play(scenario)


def test_other_options_are_other_containers_and_what_the_code_needs_stays() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        class_id = await deploy(services, 1)
        wanted = apps_pb2.FunctionDefinition(memory_mib=128, cpu_milli=7, timeout_seconds=0.5)
        body = wanted.SerializeToString()
        changes = Changes(body, ("memory_mib", "timeout_seconds"))
        changed = await services.classes.pool_for(class_id, {}, changes)

        assert (changed.needs.memory_mib, changed.needs.cpu_milli) == (128, 100)
        assert (changed.timeout_seconds, changed.name) == (0.5, "Greeter")
        assert changed.function_id != class_id
        for fields, said in (
            (("code",), "code of Greeter is what it was deployed with"),
            (("min_containers",), "min_containers of Greeter is what it was deployed with"),
            (("batching",), "Greeter has 2 methods: a batch is of one"),
        ):
            with pytest.raises(DomainError, match=said):
                await services.classes.pool_for(class_id, {}, Changes(body, fields))

    play(scenario)


def test_what_runs_with_parameters_goes_on_after_a_restart_and_what_was_idle_comes_back_with_a_call() -> (
    None
):
    ids: list[str] = []

    async def spawns(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        class_id = await deploy(services, 1)
        worker.keeps = True
        for language in ("de", "fr"):
            pool = await services.classes.pool_for(class_id, {"language": language})
            ids.append(pool.function_id)
        await services.calls.submit(a_call("fc-1", ids[0]), [NewInput(0, b"kept")])

    async def goes_on(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        known = [services.kernel.dispatcher.function(each) is not None for each in ids]
        follower = await services.following.outcomes("fc-1", 0)
        rows = [row async for batch in follower.batches() for row in batch]
        other = await services.calls.run("fc-2", ids[1], NewInput(0, b"back"))

        assert known == [True, False]
        assert [row.body for row in rows] == [b"kept"]
        assert other.body == b"back"

    play(spawns, goes_on)


def test_a_new_version_takes_the_containers_with_parameters_over_and_a_rollback_brings_them_back() -> (
    None
):
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        first_class = await deploy(services, 1)
        first = await services.classes.pool_for(first_class, {"language": "de"})
        worker.keeps = True
        await services.calls.submit(a_call("fc-1", first.function_id), [NewInput(0, b"old")])
        await worker.until(lambda: bool(worker.kept))

        second_class = await deploy(services, 2)
        with pytest.raises(DomainError, match="was replaced by version 2") as caught:
            await services.calls.submit(a_call("fc-2", first.function_id), [NewInput(0, b"")])
        pinned = await services.classes.pool_for(first_class, {"language": "fr"})
        await worker.let_go()
        follower = await services.following.outcomes("fc-1", 0)
        rows = [row async for batch in follower.batches() for row in batch]
        second = await services.classes.pool_for(second_class, {"language": "de"})
        wanted = a_call("fc-3", pinned.function_id, any_version=True)
        await services.calls.submit(wanted, [NewInput(0, b"")])

        assert caught.value.code is ErrorCode.SUPERSEDED
        assert [row.body for row in rows] == [b"old"]
        assert second.app_id == "ap-2"

        async for _ in services.deployments.rollback(KEY, 0):
            pass
        row = await services.calls.run("fc-4", first.function_id, NewInput(0, b"again"))
        assert row.body == b"again"

    play(scenario)


def test_an_app_has_containers_for_so_many_sets_of_parameters_at_the_same_time() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        services.classes.max_pools = 2
        class_id = await deploy(services, 1)
        for times in (2, 3):
            await services.classes.pool_for(class_id, {"times": times})

        with pytest.raises(DomainError, match="containers for 2 sets of parameters") as caught:
            await services.classes.pool_for(class_id, {"times": 4})
        known = await services.classes.pool_for(class_id, {"times": 3})

        assert caught.value.code is ErrorCode.RESOURCE_EXHAUSTED
        assert known.name == "Greeter(times=3)"

    play(scenario)


def test_a_function_is_no_class_and_a_class_no_function() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        class_id = await deploy(services, 1)
        plain = replace(a_class(1), function_id="fu-plain", name="square", body=b"\x1a\x06square")
        await services.apps.register("ap-1", [plain])

        with pytest.raises(DomainError, match=r"'square' of app 'shop' is not a class"):
            await services.classes.pool_for("fu-plain", {})
        with pytest.raises(DomainError, match=r"'Greeter' is a class: write Cls\.from_name"):
            await services.classes.require_function(class_id)
        await services.classes.require_function("fu-plain")

    play(scenario)


def test_what_is_forgotten_is_to_be_looked_up_again() -> None:
    async def scenario(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        with pytest.raises(DomainError, match="look its class up again") as caught:
            await services.calls.submit(a_call("fc-1", "fo-gone"), [NewInput(0, b"")])

        assert caught.value.code is ErrorCode.SUPERSEDED

    play(scenario)


def test_sets_of_parameters_that_nobody_asks_for_any_more_leave_the_disk_and_come_back_when_asked_for() -> (
    None
):
    ids: list[str] = []

    async def asks(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        class_id = await deploy(services, 1)
        made = [await services.classes.pool_for(class_id, {"times": n}) for n in (2, 3, 4)]
        ids.extend(each.function_id for each in made)
        await services.calls.submit(a_call("fc-1", ids[1]), [NewInput(0, b"kept")])

    async def forgets(services: Services, worker: PickyWorker, store: KnobStore) -> None:
        services.classes.kept_on_disk = 0
        again = await services.classes.pool_for(a_class(1).function_id, {"times": 4})
        await services.classes.forget_unused()
        await services.kernel.journal.flush()
        on_disk = [store.function(each) is not None for each in ids]
        back = await services.classes.pool_for(a_class(1).function_id, {"times": 2})
        row = await services.calls.run("fc-2", ids[0], NewInput(0, b"back"))

        assert again.function_id == ids[2]
        assert on_disk == [False, True, True]  # nobody's, with a call that is kept, known again
        assert (back.function_id, row.body) == (ids[0], b"back")

    play(asks, forgets)
