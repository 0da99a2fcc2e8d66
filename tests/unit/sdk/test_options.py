import pytest

import offload
from offload.errors import InvalidError
from offload.sdk import call_options
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
        ({"cpu": 0}, "it is at least 0.001 cores"),
        ({"cpu": (1, 2, 3)}, "neither a number nor (request, limit) in cores, as in cpu=(1, 4)"),
        ({"cpu": [1, 2]}, "neither a number nor (request, limit) in cores"),
        ({"cpu": (2, 1)}, "cpu=(2, 1): the limit 1 is below the request 2"),
        ({"memory": (512, "1g")}, "memory='1g' is not a number of MiB"),
        ({"memory": (512, 256)}, "the limit 256 is below the request 512; write (request, limit)"),
        ({"memory": (512, 1024.5)}, "not a whole number of MiB"),
        ({"ephemeral_disk": "10G"}, "ephemeral_disk='10G' is not a whole number of MiB"),
        ({"ephemeral_disk": 0}, "it is at least 1 MiB"),
        ({"runtime": "process", "ephemeral_disk": 1}, 'runtime="process" is no sandbox'),
        ({"runtime": "process", "cpu": (1, 2)}, 'runtime="process" is no sandbox'),
        ({"timeout": 0}, "out of range"),
        ({"retries": "three"}, "retries='three' is not a number"),
        ({"retries": -1}, "out of range"),
        ({"min_containers": 3, "max_containers": 2}, "more than max_containers"),
        ({"runtime": "dokcer"}, "not one of bubblewrap, gvisor, docker, process"),
        ({"runtime": "gvisor", "gpu": "H100"}, "gVisor gives no GPUs"),
        ({"block_network": "yes"}, "neither True nor False"),
        ({"env": {"A": 1}}, "strings"),
        ({"env": {"A=B": "1"}}, "strings"),
        ({"name": ""}, "not a name"),
        ({"buffer_containers": -1}, "buffer_containers=-1 is out of range"),
        ({"gpu": True}, 'write gpu="H100"'),
        ({"gpu": ""}, 'write gpu="H100"'),
        ({"gpu": "H100:"}, 'write gpu="H100"'),
        ({"gpu": "H100:0"}, 'write gpu="H100"'),
        ({"gpu": ["H100"]}, 'write gpu="H100"'),
        ({"gpu": -1}, "out of range"),
        ({"labels": ["zone"]}, 'write labels={"zone": "a"}'),
        ({"labels": {"zone": 1}}, "a label is a string with a string"),
        ({"labels": {"a=b": "1"}}, "a label is a string with a string"),
        ({"prioritty": 1}, "did you mean 'priority'"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_wrong(arguments, says):
    with pytest.raises(InvalidError) as caught:
        parse_options(**arguments)

    assert says in str(caught.value)


def test_a_number_of_cores_is_kept_and_not_a_limit_while_one_of_memory_is_both():
    options = parse_options(cpu=0.5, memory=64)

    assert (options.cpu_cores, options.memory_mib) == ((0.5, 0), (64, 64))


def test_a_pair_is_what_is_kept_and_what_is_the_limit():
    options = parse_options(cpu=(0.5, 2), memory=(64, 256))

    assert (options.cpu_cores, options.memory_mib) == ((0.5, 2), (64, 256))


def test_a_number_of_retries_means_the_default_policy():
    policy = parse_options(retries=3).retry_policy

    assert policy == offload.Retries(max_retries=3)


def test_changing_options_checks_them_again_and_leaves_the_old_ones():
    options = parse_options(cpu=2)

    changed = options.changed(memory=64)

    assert (options.memory, changed.memory, changed.cpu) == (1024, 64, 2)
    with pytest.raises(InvalidError):
        options.changed(memory=-1)


@pytest.mark.parametrize(
    ("gpu", "request_"),
    [
        (None, (0, "")),
        (2, (2, "")),
        ("H100", (1, "H100")),
        ("H100:2", (2, "H100")),
        ("any:3", (3, "")),
    ],
)
def test_devices_are_asked_for_by_kind_and_number(gpu, request_):
    assert parse_options(gpu=gpu).gpu_request == request_


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"priority": 1001}, "at most 1000"),
        ({"priority": 1.5}, "not a whole number"),
        ({"call_timeout": 0}, "out of range"),
        ({"after": 5}, r"what \.spawn\(\) returns"),
        ({"after": "in-5"}, "no call"),
        ({"after": ["fc-1", None]}, "no call"),
        ({"run_anyway": 1}, "neither True nor False"),
        ({"idempotency_key": " "}, "not a text"),
        ({"idempotency_key": "k" * 201}, "not a text"),
    ],
)
def test_a_wrong_option_of_calls_is_refused_with_what_is_wrong(arguments, says):
    with pytest.raises(InvalidError, match=says):
        call_options.changed(None, arguments)


def test_calls_to_come_after_are_given_as_objects_or_ids_alone_or_together():
    call = offload.FunctionCall.from_id("fc-1")

    assert call_options.changed(None, {"after": call}).after == ("fc-1",)
    assert call_options.changed(None, {"after": "fc-2"}).after == ("fc-2",)
    assert call_options.changed(None, {"after": (call, "fc-2", "fc-1")}).after == ("fc-1", "fc-2")


def test_options_of_calls_are_kept_when_others_change():
    first = call_options.changed(None, {"priority": 5, "after": "fc-1"})

    second = call_options.changed(first, {"call_timeout": 60})

    assert (second.priority, second.after, second.call_timeout) == (5, ("fc-1",), 60)
