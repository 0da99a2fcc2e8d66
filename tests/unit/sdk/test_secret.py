"""Secrets, from the SDK down to the server's memory."""

from __future__ import annotations

import pickle

import pytest
from google.protobuf import json_format
from tests.support.objects import object_server

import offload
from offload import errors
from offload.sdk.blocking import run
from offload.sdk.session import current_client
from offload.wire.gen import objects_pb2, secrets_pb2
from offload.wire.services import METHODS

VALUE = "correct horse battery"


@pytest.fixture
def server():
    with object_server() as running:
        yield running


def bind(secret, app_id="ap-1", environment=""):
    return run(secret.bind(("", environment), app_id))


def test_a_secret_is_listed_with_the_names_of_its_variables_alone(server):
    made = offload.Secret.create("db", {"USER": "ann", "PASSWORD": VALUE})

    listed = offload.Secret.list()

    assert listed == [made]
    assert (made.name, made.keys) == ("db", ("PASSWORD", "USER"))
    assert VALUE not in repr(listed)


def test_what_the_store_keeps_shows_no_value(server):
    made = offload.Secret.create("db", {"PASSWORD": VALUE})

    assert VALUE.encode() not in server.store.objects.sealed(made.object_id).box


def test_a_name_that_is_taken_is_replaced_only_where_that_is_said(server):
    first = offload.Secret.create("db", {"PASSWORD": VALUE})
    with pytest.raises(errors.InvalidError, match="--force"):
        offload.Secret.create("db", {"TOKEN": VALUE})

    second = offload.Secret.create("db", {"TOKEN": VALUE}, overwrite=True)

    assert second.object_id == first.object_id
    assert offload.Secret.list() == [second]
    assert second.keys == ("TOKEN",)


def test_a_secret_is_made_once_where_the_answer_is_lost(server):
    server.lose_next_answer()

    made = offload.Secret.create("db", {"PASSWORD": VALUE})

    assert offload.Secret.list() == [made]


def test_secrets_are_renamed_and_deleted_and_keep_what_is_in_them(server):
    made = offload.Secret.create("db", {"PASSWORD": VALUE})

    offload.Secret.rename("db", "database")
    renamed = offload.Secret.list()
    offload.Secret.delete("database")

    assert [(each.object_id, each.name, each.keys) for each in renamed] == [
        (made.object_id, "database", ("PASSWORD",))
    ]
    assert offload.Secret.list() == []
    offload.Secret.delete("database", allow_missing=True)


def test_an_environment_has_its_own(server):
    offload.Secret.create("db", {"PASSWORD": VALUE}, environment_name="prod")

    assert offload.Secret.list() == []
    assert bind(offload.Secret.from_name("db"), environment="prod")
    with pytest.raises(errors.NotFoundError, match=r"There is no secret 'db' .*secret create db K"):
        bind(offload.Secret.from_name("db"))


def test_the_environment_that_is_named_is_where_a_secret_is_looked_for(server):
    made = offload.Secret.create("db", {"PASSWORD": VALUE}, environment_name="prod")

    assert bind(offload.Secret.from_name("db", environment_name="prod")) == made.object_id


def test_a_missing_key_is_said_by_name(server):
    offload.Secret.create("db", {"USER": "ann", "PORT": "1"})
    wanted = offload.Secret.from_name("db", required_keys=["USER", "PASSWORD", "HOST"])

    with pytest.raises(errors.InvalidError, match="'db' lacks PASSWORD, HOST: it has PORT, USER"):
        bind(wanted)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "one variable at least"),
        ({"A": "x" * 300_000}, "256 KiB"),
    ],
)
def test_what_can_be_no_secret_is_refused(server, values, why):
    with pytest.raises((errors.InvalidError, errors.LimitError), match=why):
        offload.Secret.create("db", values)


def test_no_reply_but_that_to_a_worker_can_carry_a_value():
    told = {
        name
        for name, method in METHODS.items()
        if name.startswith("offload.v1.Secrets/")
        and "values" in method.reply.DESCRIPTOR.fields_by_name
    }

    assert told == {"offload.v1.Secrets/Reveal"}


def test_whoever_has_the_token_and_no_container_is_told_nothing(server):
    asked = secrets_pb2.RevealSecretsRequest(container_id="co-1", function_id="fu-1")
    connection = current_client().secrets._connection

    with pytest.raises(errors.OffloadError, match="only the worker that starts a container"):
        run(
            connection.repeat(
                lambda link: link.unary(
                    "offload.v1.Secrets/Reveal", asked, secrets_pb2.RevealSecretsReply
                )
            )
        )


def test_a_secret_is_not_made_without_what_is_in_it(server):
    asked = objects_pb2.OpenObjectRequest(
        kind=objects_pb2.OBJECT_KIND_SECRET, name="empty", create_if_missing=True
    )

    with pytest.raises(errors.InvalidError, match="made with what is in it"):
        run(current_client().objects._unary("Objects/Open", asked, objects_pb2.ObjectSummary))

    assert "empty" not in json_format.MessageToJson(asked) or offload.Secret.list() == []


def test_a_rotation_leaves_what_is_in_them(server):
    made = offload.Secret.create("db", {"PASSWORD": VALUE})
    before = server.store.objects.sealed(made.object_id)

    count = offload.Secret.rotate_key()

    after = server.store.objects.sealed(made.object_id)
    assert count == 1
    assert before.key_id != after.key_id
    assert run(server.services.secrets.reveal([made.object_id])) == {"PASSWORD": VALUE}


def test_of_one_name_the_last_secret_counts(server):
    first = offload.Secret.create("one", {"A": "1", "B": "1"})
    second = offload.Secret.create("two", {"B": "2"})

    opened = run(server.services.secrets.reveal([first.object_id, second.object_id]))

    assert opened == {"A": "1", "B": "2"}


def test_values_travel_in_no_pickle():
    secret = offload.Secret.from_dict({"PASSWORD": VALUE})

    pickled = pickle.dumps(secret)

    assert VALUE.encode() not in pickled
    with pytest.raises(errors.InvalidError, match="give one a name"):
        bind(pickle.loads(pickled))  # noqa: S301  # made above


def test_a_deployed_app_needs_secrets_with_names():
    with pytest.raises(errors.InvalidError, match="offload secret create"):
        bind(offload.Secret.from_dict({"PASSWORD": VALUE}), app_id=None)


def test_variables_of_this_process_are_taken_as_they_are(monkeypatch):
    monkeypatch.setenv("TOKEN", VALUE)

    taken = offload.Secret.from_local_environ(["TOKEN"])

    assert taken._values == {"TOKEN": VALUE}
    with pytest.raises(errors.InvalidError, match="no variable NOT_SET"):
        offload.Secret.from_local_environ(["TOKEN", "NOT_SET"])


def test_a_dotenv_file_is_read(tmp_path):
    file = tmp_path / ".env"
    file.write_text(
        "# of the database\n"
        "USER=ann\n"
        "\n"
        "export PASSWORD='correct # horse'  # quoted\n"
        'KEY="line one\\nline \\"two\\"\nline three"\n'
        "URL=postgres://h/db?x=1 # said behind a space\n"
        "EMPTY=\n"
        "LAST=1"
    )

    read = offload.Secret.from_dotenv(file)._values

    assert read == {
        "USER": "ann",
        "PASSWORD": "correct # horse",
        "KEY": 'line one\nline "two"\nline three',
        "URL": "postgres://h/db?x=1",
        "EMPTY": "",
        "LAST": "1",
    }


@pytest.mark.parametrize("text", ["A=1\nno variable\n", "A=1\nB='open\n", 'A=1\nB="x" y\n'])
def test_a_line_that_cannot_be_read_is_named_and_not_shown(tmp_path, text):
    file = tmp_path / ".env"
    file.write_text(text)

    with pytest.raises(errors.InvalidError, match="line 2 of") as refused:
        offload.Secret.from_dotenv(file)

    assert text.splitlines()[1] not in str(refused.value)


@pytest.mark.parametrize("secrets", [VALUE, [VALUE], {"A": VALUE}, [{"A": VALUE}]])
def test_what_is_no_secret_is_refused_where_it_is_written_and_not_shown(secrets):
    app = offload.App("t")

    with pytest.raises(errors.InvalidError, match=r"Secret\.from_name") as refused:
        app.function(secrets=secrets)

    assert VALUE not in str(refused.value)


def test_functions_have_the_secrets_of_their_app_before_their_own():
    ours, own = offload.Secret.from_name("ours"), offload.Secret.from_name("own")
    app = offload.App("t", secrets=[ours])

    @app.function(secrets=[own])
    def both():
        pass

    @app.function()
    def one():
        pass

    assert both.options.secrets == (ours, own)
    assert one.options.secrets == (ours,)


@pytest.mark.parametrize("make", [offload.Secret, offload.Secret.ephemeral])
def test_a_secret_is_made_in_no_other_way(make):
    with pytest.raises(errors.InvalidError, match="from_") as refused:
        make()

    # What other kinds have and it has not is not advised.
    assert "ephemeral()" not in str(refused.value)
    assert "create_if_missing" not in str(refused.value)
