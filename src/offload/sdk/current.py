"""Where the code that asks runs, and for whom. Valid on CPython 3.9: containers import it."""

from __future__ import annotations

from offload import wire


def current_input_id() -> str | None:
    """Return the id of the input that this code runs for, "in-…"; None outside of a container, and of any input.

    In a call for a batch it is the first input's. A thread that the function has started is told it only while no other input
    runs beside.
    """
    return wire.find_input() or None if wire.find_input is not None else None


def current_function_call_id() -> str | None:
    """Return the id of the call that this code runs for, "fc-…", as `FunctionCall.from_id` takes it; None as above."""
    input_id = current_input_id()
    return f"fc-{input_id[3:].rpartition('-')[0]}" if input_id is not None else None


def is_local() -> bool:
    """Whether this runs with the caller, and not in a container."""
    return wire.find_input is None
