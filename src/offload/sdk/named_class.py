"""Which class of a deployed app is meant, and with which changes: what `Cls.from_name` and `.with_options` keep."""

from __future__ import annotations

from typing import NamedTuple

from offload.sdk.call_options import CallOptions
from offload.sdk.options import FunctionOptions, parse_options
from offload.sdk.values import AppName


class Changed(NamedTuple):
    """Options that containers have otherwise than their class was deployed with."""

    options: FunctionOptions
    names: frozenset[str]  # of those that count


class NamedClass(NamedTuple):
    """Which class is meant, and what of it is wanted otherwise."""

    app: AppName
    name: str
    version: int | str | None
    changed: Changed = Changed(parse_options(), frozenset())
    call_options: CallOptions | None = None
