"""offload: serverless Python on machines you own.

Importing this package loads nothing else: each public name is imported when it is first used. The runner imports it
inside users' environments, so this file stays valid on CPython 3.9.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from offload import errors, testing
    from offload.errors import InputCancellation
    from offload.sdk.app import App
    from offload.sdk.call import FunctionCall, gather, wait_first
    from offload.sdk.class_marks import enter, exit, method, parameter  # noqa: A004 - the field's names
    from offload.sdk.cls import Cls
    from offload.sdk.concurrency import batched, concurrent
    from offload.sdk.current import current_function_call_id, current_input_id, is_local
    from offload.sdk.dict import Dict
    from offload.sdk.entrypoint import LocalEntrypoint
    from offload.sdk.function import Function
    from offload.sdk.image import Image
    from offload.sdk.letters import DeadLetter, dead_letters
    from offload.sdk.options import Retries
    from offload.sdk.queue import Queue
    from offload.sdk.schedule import Cron, Period
    from offload.sdk.secret import Secret
    from offload.sdk.values import Deployed
    from offload.sdk.volume import Volume
    from offload.sdk.web import asgi_app, fastapi_endpoint, web_server, wsgi_app
    from offload.sdk.web_marks import CrossOrigin
    from offload.sdk.web_values import WebRequest, WebResponse

__all__ = [
    "App",
    "Cls",
    "Cron",
    "CrossOrigin",
    "DeadLetter",
    "Deployed",
    "Dict",
    "Function",
    "FunctionCall",
    "Image",
    "InputCancellation",
    "LocalEntrypoint",
    "Period",
    "Queue",
    "Retries",
    "Secret",
    "Volume",
    "WebRequest",
    "WebResponse",
    "asgi_app",
    "batched",
    "concurrent",
    "current_function_call_id",
    "current_input_id",
    "dead_letters",
    "enter",
    "errors",
    "exit",
    "fastapi_endpoint",
    "gather",
    "is_local",
    "method",
    "parameter",
    "testing",
    "wait_first",
    "web_server",
    "wsgi_app",
]

__version__ = "0.1.0"

_HOME = {
    "App": "offload.sdk.app",
    "Cls": "offload.sdk.cls",
    "Cron": "offload.sdk.schedule",
    "CrossOrigin": "offload.sdk.web_marks",
    "DeadLetter": "offload.sdk.letters",
    "Deployed": "offload.sdk.values",
    "Dict": "offload.sdk.dict",
    "Function": "offload.sdk.function",
    "FunctionCall": "offload.sdk.call",
    "Image": "offload.sdk.image",
    "InputCancellation": "offload.errors",
    "LocalEntrypoint": "offload.sdk.entrypoint",
    "Period": "offload.sdk.schedule",
    "Queue": "offload.sdk.queue",
    "Retries": "offload.sdk.options",
    "Volume": "offload.sdk.volume",
    "Secret": "offload.sdk.secret",
    "WebRequest": "offload.sdk.web_values",
    "WebResponse": "offload.sdk.web_values",
    "asgi_app": "offload.sdk.web",
    "batched": "offload.sdk.concurrency",
    "concurrent": "offload.sdk.concurrency",
    "current_function_call_id": "offload.sdk.current",
    "current_input_id": "offload.sdk.current",
    "dead_letters": "offload.sdk.letters",
    "enter": "offload.sdk.class_marks",
    "exit": "offload.sdk.class_marks",
    "fastapi_endpoint": "offload.sdk.web",
    "gather": "offload.sdk.call",
    "is_local": "offload.sdk.current",
    "method": "offload.sdk.class_marks",
    "parameter": "offload.sdk.class_marks",
    "wait_first": "offload.sdk.call",
    "web_server": "offload.sdk.web",
    "wsgi_app": "offload.sdk.web",
}


def __getattr__(name: str) -> object:
    import importlib

    if name in ("errors", "testing"):
        return importlib.import_module("offload." + name)
    if name not in _HOME:
        raise AttributeError(f"module 'offload' has no attribute {name!r}")
    import sys

    if sys.version_info < (3, 11):  # noqa: UP036  # an image's own, where the runner is content with less
        version = ".".join(map(str, sys.version_info[:2]))
        raise ImportError(
            f"offload.{name} needs Python 3.11 or newer, and this is {version}: choose an image with a newer one"
        )
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
