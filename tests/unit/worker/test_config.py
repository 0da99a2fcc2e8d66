"""What a worker is told, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from offload.worker.config import ConfigError, WorkerConfig, usable_cpu_milli, usable_memory_mib
from offload.worker.main import EXIT_CONFIGURATION, run


def a_config(**fields: object) -> WorkerConfig:
    facts: dict[str, object] = {
        "server_url": "http://127.0.0.1:50080",
        "token": "secret",
        "data_dir": Path("/nonexistent"),
        **fields,
    }
    return WorkerConfig(**facts)


@pytest.mark.parametrize(
    ("url", "link_url"),
    [
        ("http://host:1", "ws://host:1/link"),
        ("https://host/", "wss://host/link"),
        ("ws://host:1/link", "ws://host:1/link"),
    ],
)
def test_the_servers_address_becomes_that_of_its_link(url: str, link_url: str):
    assert a_config(server_url=url).link_url == link_url


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"server_url": "host"}, "use http://HOST:PORT"),
        ({"token": ""}, "--token-file"),
        ({"runtime": "dokcer"}, "choose one of bubblewrap, gvisor, docker, process"),
        ({"cpu_milli": 0}, "cpu must be more than 0"),
        ({"memory_mib": -1}, "memory must be more than 0"),
        ({"drain_seconds": -1.0}, "drain-seconds must not be negative"),
        ({"cancel_grace_seconds": float("nan")}, "cancel-grace must not be negative"),
        ({"tls_ca_file": Path("/nonexistent/ca")}, "does not exist"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(fields: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        a_config(**fields).check()


def test_the_environment_gives_what_no_option_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OFFLOAD_GPUS", "2:H100")
    monkeypatch.setenv("OFFLOAD_LABELS", "room=attic, site/rack=b-7,spot=")
    monkeypatch.setenv("OFFLOAD_DRAIN_SECONDS", "120")
    monkeypatch.setenv("OFFLOAD_CANCEL_GRACE_SECONDS", "0.5")
    monkeypatch.setenv("OFFLOAD_TEMPLATES", "3")
    monkeypatch.setenv("OFFLOAD_IMAGE_CACHE_GIB", "0.5")
    monkeypatch.setenv("OFFLOAD_BLOB_CACHE_GIB", "2")

    config = WorkerConfig.from_environment(Path("/nonexistent"))

    assert [(gpu.index, gpu.kind) for gpu in config.gpus] == [(0, "H100"), (1, "H100")]
    assert config.labels == {"room": "attic", "site/rack": "b-7", "spot": ""}
    assert config.drain_seconds == 120
    assert config.cancel_grace_seconds == 0.5
    assert config.templates == 3
    assert (config.images.max_bytes, config.cache_bytes) == (1 << 29, 1 << 31)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("OFFLOAD_GPUS", "many", "OFFLOAD_GPUS: 'many' is no list of GPUs"),
        ("OFFLOAD_LABELS", "attic", "OFFLOAD_LABELS: 'attic' is not KEY=VALUE"),
        ("OFFLOAD_LABELS", "a b=c", "OFFLOAD_LABELS: 'a b=c' is not KEY=VALUE"),
        ("OFFLOAD_LABELS", "room=attic,room=cellar", "room is both 'attic' and 'cellar'"),
        ("OFFLOAD_LABELS", "room=" + "x" * 256, "a value of at most 255 characters"),
        ("OFFLOAD_TEMPLATES", "some", "OFFLOAD_TEMPLATES: 'some' is not a whole number"),
        (
            "OFFLOAD_IMAGE_CACHE_GIB",
            "much",
            "OFFLOAD_IMAGE_CACHE_GIB: 'much' is not a number of GiB",
        ),
        ("OFFLOAD_DRAIN_SECONDS", "soon", "OFFLOAD_DRAIN_SECONDS: 'soon' is not a number"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
):
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigError) as caught:
        WorkerConfig.from_environment(Path("/nonexistent"))

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_sandbox_is_the_default_and_no_other_runtime_comes_with_it():
    assert a_config().runtimes == ("bubblewrap",)


def test_what_the_machine_has_is_found():
    assert usable_cpu_milli() >= 1000
    assert usable_memory_mib() > 0


def test_each_worker_has_an_id_of_its_own():
    assert a_config().worker_id.startswith("wk-")
    assert a_config().worker_id != a_config().worker_id


def test_a_wrong_configuration_is_one_line_and_its_own_exit_code(
    capsys: pytest.CaptureFixture[str],
):
    code = run(a_config(token=""))

    assert code == EXIT_CONFIGURATION
    assert capsys.readouterr().err.splitlines() == [
        "offload worker: no token: give the server's with --token-file or OFFLOAD_TOKEN"
    ]
