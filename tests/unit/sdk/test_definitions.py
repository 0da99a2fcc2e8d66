"""What happens at decoration, with no server anywhere."""

import pickle
import threading
import traceback

import cloudpickle
import pytest

import offload
from offload.errors import AppNotRunningError, InvalidError

app = offload.App("definitions")


@app.function()
def factorial(n):
    return 1 if n < 2 else n * factorial.local(n - 1)


@app.function()
def count(n):
    yield from range(n)


def test_a_decorated_function_still_works_here():
    assert factorial(5) == factorial.local(5) == 120
    assert list(count(3)) == [0, 1, 2]


_lock = threading.Lock()


def _locked(guard):
    return lambda: guard


_WRONG_USES = {
    "a negative number": lambda: app.function(memory=-5),
    "an unknown option": lambda: app.function(memry=5),
    "retries in words": lambda: app.function(retries="three"),
    "forgotten brackets": lambda: app.function(len),
    "a lambda": lambda: app.function()(lambda x: x),
    "a lock in a closure": lambda: app.function(name="locked")(_locked(_lock)),
    "an entrypoint without brackets": lambda: app.local_entrypoint(len),
    "with_options": lambda: factorial.with_options(cpu=-1),
    "an option of calls": lambda: factorial.with_options(priority="high"),
    "one call's option in the decorator": lambda: app.function(idempotency_key="k"),
    "an impossible autoscaler": lambda: factorial.update_autoscaler(min_containers=-1),
    "outside a run": lambda: factorial.remote(1),
    "a map outside a run": lambda: factorial.map([1]),
    "an async map outside a run": lambda: factorial.map.aio([1]),
    "an app without a name": lambda: offload.App(""),
    "negative retries": lambda: offload.Retries(max_retries=-1),
}


@pytest.mark.parametrize("wrong_use", _WRONG_USES.values(), ids=_WRONG_USES.keys())
def test_the_callers_line_is_the_last_in_the_traceback_of_wrong_use(wrong_use):
    with pytest.raises(InvalidError) as caught:
        wrong_use()

    [_, last] = traceback.extract_tb(caught.value.__traceback__)
    assert last.filename == __file__


def test_a_lambda_needs_a_name():
    with pytest.raises(InvalidError, match="a lambda has no name"):
        app.function()(lambda x: x)

    assert app.function(name="double")(lambda x: 2 * x).name == "double"


def test_an_unpicklable_closure_is_refused_at_decoration_and_named():
    guard = threading.Lock()

    def guarded():
        with guard:
            return 1

    with pytest.raises(InvalidError, match="guard"):
        app.function()(guarded)


@pytest.mark.parametrize("wrong", [5, int, factorial])
def test_only_plain_functions_are_decorated(wrong):
    with pytest.raises(InvalidError):
        app.function()(wrong)


def test_forgotten_brackets_are_explained():
    with pytest.raises(InvalidError, match="brackets"):
        app.function(lambda: 1)
    with pytest.raises(InvalidError, match="brackets"):
        app.local_entrypoint(lambda: 1)


@pytest.mark.parametrize("method", ["remote", "spawn", "spawn_map", "for_each"])
def test_a_remote_call_outside_a_run_says_how_to_do_it(method):
    with pytest.raises(AppNotRunningError, match=r"with app\.run\(\)"):
        getattr(factorial, method)([1])


def test_an_app_needs_a_name():
    with pytest.raises(InvalidError, match="an app has a name"):
        offload.App(5)


def test_a_function_travels_with_its_definition_and_without_its_connection():
    copy = pickle.loads(cloudpickle.dumps(factorial))  # noqa: S301  # made the line before

    assert copy(5) == 120
    assert copy.name == "factorial"
    assert not copy.app.is_running


def test_with_options_leaves_the_function_as_it_is():
    larger = factorial.with_options(memory=64, name="larger")

    assert (factorial.options.memory, larger.options.memory) == (1024, 64)
    assert larger.name == "larger"
    with pytest.raises(InvalidError, match="did you mean 'memory'"):
        factorial.with_options(memry=3)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ({"after": ["fc-1"]}, "slow.with_options(after=call).remote(…)"),
        ({"run_anyway": True}, "slow.with_options(run_anyway=True).remote(…)"),
        ({"idempotency_key": "k"}, "slow.with_options(idempotency_key='k').remote(…)"),
    ],
)
def test_what_is_about_one_call_is_refused_in_the_decorator_with_the_right_line(option, line):
    with pytest.raises(InvalidError) as caught:
        app.function(name="slow", **option)

    assert line in str(caught.value)


def test_priority_and_the_time_for_a_call_can_be_defaults_of_a_function():
    urgent = app.function(name="urgent", priority=5, call_timeout=60)(len)

    later = urgent.with_options(priority=-5)

    assert (urgent.call_options.priority, urgent.call_options.call_timeout) == (5, 60)
    assert (later.call_options.priority, later.call_options.call_timeout) == (-5, 60)


def test_an_entrypoint_is_called_here():
    @app.local_entrypoint()
    def main(x: int):
        return x + 1

    assert main(1) == 2
    assert app.entrypoints["main"] is main


def test_what_is_no_id_of_a_call_is_refused():
    with pytest.raises(InvalidError, match="begin with fc-"):
        offload.FunctionCall.from_id("in-5")
