"""Inside an image: calls the function that a step `run_function` brought along.

Runs with the image's interpreter: CPython 3.9 or later, standard library and cloudpickle only.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

_GUEST, _CONTENT = "/run/offload/guest", "/run/offload/content"


def main() -> None:
    """Load the function and call it with its arguments; what it raises ends the build."""
    sys.path.append(_GUEST)
    function, args, kwargs = pickle.loads(Path(_CONTENT).read_bytes())  # noqa: S301 - in the sandbox of its own build
    function(*args, **kwargs)


if __name__ == "__main__":
    main()
