"""A function that logs in with a secret: its code sees the value, and nobody who reads its output or its errors does."""

import hashlib
import hmac
import os

import offload

app = offload.App("secrets")
small = {"cpu": 0.25, "memory": 128}
# Kept on the server with `offload secret create`; here made anew for each run.
token = offload.Secret.from_dict({"API_TOKEN": "correct-horse-battery-staple"})


@app.function(**small, secrets=[token])
def sign(message: str) -> str:
    """Sign a message with the token."""
    key = os.environ["API_TOKEN"]
    print(f"signing {message!r} with {key}")
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()[:16]


@app.function(**small, secrets=[token])
def log_in() -> None:
    """Be turned away, with the token in the message."""
    raise PermissionError(f"{os.environ['API_TOKEN']} is not accepted")


@app.function(**small)
def without() -> bool:
    """Look for the token in a function that does not name it."""
    return "API_TOKEN" in os.environ


@app.local_entrypoint()
def main() -> None:
    """Show who sees the token."""
    print("signature:", sign.remote("hello"))
    try:
        log_in.remote()
    except PermissionError as error:
        print("refused:", error)
    print("another function has it:", without.remote())
