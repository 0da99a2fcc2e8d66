"""Where the server is found, and what is said when it is not there."""

import pytest
from tests.support.sdk_server import TOKEN, fake_server

from offload import errors
from offload.sdk.blocking import run
from offload.sdk.client import Client, ServerAddress
from offload.sdk.config import ClientConfig
from offload.sdk.stack import link_url, stop_local_stack


@pytest.mark.parametrize(
    ("written", "link"),
    [
        ("http://127.0.0.1:50080", "ws://127.0.0.1:50080/link"),
        ("https://offload.example/", "wss://offload.example/link"),
        ("ws://host:1/link", "ws://host:1/link"),
        ("host:50080", "ws://host:50080/link"),
    ],
)
def test_an_address_is_understood_as_people_write_it(written, link):
    assert link_url(written) == link


def test_a_server_that_never_answered_is_an_error_at_once():
    client = Client(lambda: ServerAddress("ws://127.0.0.1:1/link", TOKEN), give_up_after_seconds=60)

    with pytest.raises(errors.ConnectionLostError, match="Is the server running"):
        run(client.describe("fc-1"))


def test_a_server_that_stays_away_is_given_up():
    with fake_server() as server:
        address = ServerAddress(f"ws://127.0.0.1:{server.link.port}/link", TOKEN)
        client = Client(lambda: address, give_up_after_seconds=0)
        run(client.create_app("a", "ap-1"))
        run(server.link.close())

        with pytest.raises(errors.ConnectionLostError, match="goes on when it is back"):
            run(client.describe("fc-1"))


def test_a_wrong_token_is_an_error_that_says_what_to_do():
    with fake_server() as server:
        address = ServerAddress(f"ws://127.0.0.1:{server.link.port}/link", "wrong")
        client = Client(lambda: address, give_up_after_seconds=60)

        with pytest.raises(errors.AuthError, match="token"):
            run(client.describe("fc-1"))


def test_ending_a_stack_that_is_not_there_does_nothing(tmp_path):
    config = ClientConfig(server_url=None, token=None, tls_ca=None, data_dir=tmp_path / "none")

    assert stop_local_stack(config) is False
    assert not (tmp_path / "none").exists()


def test_an_authority_that_cannot_be_used_is_named_with_its_setting(tmp_path):
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nothing")

    for file in (nonsense, tmp_path / "nothing.pem"):
        with pytest.raises(errors.InvalidError, match=f"{file.name}.*OFFLOAD_TLS_CA"):
            _ = ServerAddress("wss://localhost:1/link", "x", file).tls
