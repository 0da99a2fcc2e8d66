"""What a request's failure leaves behind for its author."""

from __future__ import annotations

import sys


def show_error() -> None:
    """Write the error that is being handled to the input's output: who asked sees nothing of it."""
    import traceback  # noqa: PLC0415 - needed only here

    sys.stderr.write(traceback.format_exc())
