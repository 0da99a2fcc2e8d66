"""The client's settings: the environment first, then the file."""

import pytest

from offload.errors import InvalidError
from offload.sdk.config import read_config


@pytest.fixture
def write(monkeypatch, tmp_path):
    for name in (
        "OFFLOAD_SERVER_URL",
        "OFFLOAD_DATA_DIR",
        "OFFLOAD_WORKSPACE",
        "OFFLOAD_ENVIRONMENT",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def write(text):
        (tmp_path / "offload").mkdir(exist_ok=True)
        (tmp_path / "offload" / "config.toml").write_text(text)

    return write


def test_the_workspace_is_the_servers_default_unless_somebody_says_otherwise(write):
    assert read_config().workspace == ""


def test_the_workspace_comes_from_the_file_and_before_that_from_the_environment(write, monkeypatch):
    write('workspace = "physics"\n')

    from_file = read_config().workspace
    monkeypatch.setenv("OFFLOAD_WORKSPACE", "biology")

    assert (from_file, read_config().workspace) == ("physics", "biology")


def test_so_does_the_environment(write, monkeypatch):
    write('environment = "dev"\n')

    from_file = read_config().environment
    monkeypatch.setenv("OFFLOAD_ENVIRONMENT", "prod")

    assert (from_file, read_config().environment) == ("dev", "prod")


def test_an_unknown_setting_is_named_with_those_there_are(write):
    write('workspce = "physics"\n')

    with pytest.raises(InvalidError, match=r"workspace and environment, not workspce"):
        read_config()
