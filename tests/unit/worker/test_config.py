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
        ({"runtime": "dokcer"}, "choose one of bubblewrap, process"),
        ({"cpu_milli": 0}, "cpu must be more than 0"),
        ({"memory_mib": -1}, "memory must be more than 0"),
        ({"drain_seconds": -1.0}, "must not be negative"),
        ({"tls_ca_file": Path("/nonexistent/ca")}, "does not exist"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(fields: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        a_config(**fields).check()


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
