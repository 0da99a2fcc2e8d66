"""`offload web-key`: keys that open web endpoints."""

from __future__ import annotations

import click

from offload.cli import show
from offload.cli.scope import scope_of

_workspace = click.option("--workspace", metavar="NAME", help="Whose endpoints; default: yours.")


@click.group()
def command() -> None:
    """Keys for web endpoints with auth="key": make, list and revoke them."""


@command.command("create")
@click.argument("name")
@_workspace
@show.json_option
def create(*, name: str, workspace: str | None, as_json: bool) -> None:
    """Make a key for whoever NAME says, and show its secret, this once."""
    from offload.cli.ask import ask
    from offload.wire.gen import web_pb2

    request = web_pb2.CreateKeyRequest(workspace=scope_of(workspace, None)["workspace"], name=name)
    reply = ask("Web/CreateKey", request, web_pb2.CreateKeyReply)
    if as_json:
        show.print_json({"key": reply.key.key_id, "secret": reply.secret, "name": reply.key.name})
        return
    print("Send both with each request; the secret is not shown again:")
    print(f"  Offload-Key: {reply.key.key_id}")
    print(f"  Offload-Secret: {reply.secret}")


@command.command("ls")
@_workspace
@show.json_option
def list_keys(*, workspace: str | None, as_json: bool) -> None:
    """List keys, oldest first, without their secrets, which nobody keeps."""
    from offload.cli.ask import ask
    from offload.wire.gen import web_pb2

    request = web_pb2.ListKeysRequest(workspace=scope_of(workspace, None)["workspace"])
    keys = ask("Web/ListKeys", request, web_pb2.ListKeysReply).keys
    if as_json:
        found = [{"key": k.key_id, "name": k.name, "created_at": k.created_at} for k in keys]
        show.print_json({"keys": found})
        return
    if not keys:
        print("There are no keys: `offload web-key create NAME` makes one.")
    now = show.wall_clock()
    rows = ((key.key_id, key.name, show.ago(key.created_at, now)) for key in keys)
    show.print_table("Keys of web endpoints", ("key", "name", "created"), rows)


@command.command("rm")
@click.argument("key")
@_workspace
@show.json_option
def revoke(*, key: str, workspace: str | None, as_json: bool) -> None:
    """Revoke a key: requests with it are refused from now on."""
    from offload.cli.ask import ask
    from offload.wire.gen import web_pb2

    request = web_pb2.RevokeKeyRequest(workspace=scope_of(workspace, None)["workspace"], key_id=key)
    ask("Web/RevokeKey", request, web_pb2.RevokeKeyReply)
    if as_json:
        show.print_json({"key": key})
    else:
        print(f"Key {key} opens nothing any more.")
