"""Requests to the server in plain values. The only part of the SDK that knows the schema."""

from offload.sdk.client.client import Client, Submission
from offload.sdk.client.connection import ServerAddress
from offload.sdk.client.contents import DirectGet
from offload.sdk.client.definitions import Registration
from offload.sdk.client.direct import DirectRun, Reply

__all__ = [
    "Client",
    "DirectGet",
    "DirectRun",
    "Registration",
    "Reply",
    "ServerAddress",
    "Submission",
]
