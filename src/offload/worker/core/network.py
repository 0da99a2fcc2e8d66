"""What a container may reach on the network, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AllowList:
    """All that a container may reach: networks, and what names resolve to. Checked where the function was written."""

    cidrs: tuple[str, ...] = ()  # IPv4, "10.0.0.0/8"
    domains: tuple[
        str, ...
    ] = ()  # in lower case: "example.org", or "*.example.org" for all names below


def is_allowed(name: str, domains: tuple[str, ...]) -> bool:
    """Tell whether a name, in whatever case and with or without its final dot, is one of `domains`."""
    wanted = name.lower().rstrip(".")
    return any(
        wanted.endswith(domain[1:]) and len(wanted) > len(domain) - 1
        if domain.startswith("*.")
        else wanted == domain
        for domain in domains
    )
