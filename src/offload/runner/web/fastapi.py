"""A function as the only route of a FastAPI app, which is the user's: it is imported only here."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from offload.runner.callee import UserFunction
    from offload.sdk.web_marks import Endpoint


def make_app(function: UserFunction, endpoint: Endpoint) -> UserFunction:
    """Return the app. Raises `ImportError` where its image has no FastAPI."""
    name = getattr(function, "__name__", "endpoint")
    try:
        fastapi = importlib.import_module("fastapi")
    except ImportError as error:
        raise ImportError(
            f'{name}() has @offload.fastapi_endpoint() and no FastAPI ({error}): add .pip_install("fastapi") to its image, or '
            "install it where it runs in your own environment"
        ) from error
    app: UserFunction = fastapi.FastAPI(
        title=name,
        docs_url="/docs" if endpoint.docs else None,
        redoc_url="/redoc" if endpoint.docs else None,
        openapi_url="/openapi.json" if endpoint.docs else None,
    )
    app.add_api_route("/", function, methods=list(endpoint.methods))  # type: ignore[attr-defined]  # it is an app
    return app
