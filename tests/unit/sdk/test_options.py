import pytest

import offload
from offload.errors import InvalidError
from offload.sdk.options import FunctionOptions, parse_options


def test_defaults_are_what_the_reference_says():
    options = FunctionOptions()

    assert (options.cpu, options.memory, options.timeout) == (1.0, 1024, 300.0)
    assert (options.startup_timeout, options.scaledown_window) == (60.0, 60.0)
    assert options.retry_policy.max_retries == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"memry": 5}, "did you mean 'memory'"),
        ({"colour": 5}, "the options are"),
        ({"memory": -5}, "memory=-5 is out of range"),
        ({"memory": 0.5}, "not a whole number of MiB"),
        ({"memory": True}, "not a whole number"),
        ({"cpu": "two"}, "cpu='two' is not a number"),
        ({"cpu": float("nan")}, "is not a number"),
        ({"timeout": 0}, "out of range"),
        ({"retries": "three"}, "retries='three' is not a number"),
        ({"retries": -1}, "out of range"),
        ({"min_containers": 3, "max_containers": 2}, "more than max_containers"),
        ({"runtime": "docker"}, "not one of bubblewrap, process"),
        ({"block_network": "yes"}, "neither True nor False"),
        ({"env": {"A": 1}}, "strings"),
        ({"env": {"A=B": "1"}}, "strings"),
        ({"name": ""}, "not a name"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_wrong(arguments, says):
    with pytest.raises(InvalidError) as caught:
        parse_options(**arguments)

    assert says in str(caught.value)


def test_a_number_of_retries_means_the_default_policy():
    policy = parse_options(retries=3).retry_policy

    assert policy == offload.Retries(max_retries=3)


def test_changing_options_checks_them_again_and_leaves_the_old_ones():
    options = parse_options(cpu=2)

    changed = options.changed(memory=64)

    assert (options.memory, changed.memory, changed.cpu) == (1024, 64, 2)
    with pytest.raises(InvalidError):
        options.changed(memory=-1)
