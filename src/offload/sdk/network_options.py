"""What a function says of its network, checked where the user wrote it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NamedTuple
else:
    from offload.wire.records import NamedTuple

_MOST_ENTRIES = 256
_MOST_NAME_CHARS, _MOST_LABEL_CHARS = 253, 63
_OPEN = "to reach everything leave out outbound_cidr_allowlist and outbound_domain_allowlist"


class Reachable(NamedTuple):
    """All that a function's containers may reach, as it is sent."""

    cidrs: tuple[str, ...]
    domains: tuple[str, ...]


def check_network(
    block: object, cidrs: Sequence[str] | None, domains: Sequence[str] | None
) -> Reachable | None:
    """Return what may be reached, None for everything. Raises `InvalidError`."""
    if not isinstance(block, bool):
        raise InvalidError(f"block_network={block!r} is neither True nor False")
    given = {"outbound_cidr_allowlist": cidrs, "outbound_domain_allowlist": domains}
    lists = [name for name, value in given.items() if value is not None]
    if block and lists:
        raise InvalidError(
            f"block_network=True with {' and '.join(lists)}: a blocked network reaches nothing, so leave one of them out"
        )
    if block:
        return Reachable((), ())
    if not lists:
        return None
    return Reachable(
        tuple(_cidr(entry) for entry in _entries("outbound_cidr_allowlist", cidrs, "10.0.0.0/8")),
        tuple(
            _domain(entry)
            for entry in _entries("outbound_domain_allowlist", domains, "example.org")
        ),
    )


def _entries(name: str, value: object, example: str) -> tuple[str, ...]:
    if value is None:
        return ()
    is_list = isinstance(value, list | tuple)
    if not is_list or not all(isinstance(entry, str) for entry in value):  # type: ignore[attr-defined]  # it is one
        raise InvalidError(f'{name}={value!r} is not a list of strings: write {name}=["{example}"]')
    entries: tuple[str, ...] = tuple(value)  # type: ignore[arg-type]  # see above
    if len(entries) > _MOST_ENTRIES:
        raise InvalidError(f"{name} has {len(entries)} entries, at most {_MOST_ENTRIES} are held")
    return entries


def _cidr(entry: str) -> str:
    import ipaddress  # noqa: PLC0415 - few functions have a list, and every script imports this

    where = f"outbound_cidr_allowlist: {entry!r}"
    try:
        network = ipaddress.ip_network(entry.strip())
    except ValueError:
        try:
            meant = ipaddress.ip_interface(entry.strip()).network
        except ValueError:
            raise InvalidError(
                f'{where} is no network: write "10.0.0.0/8", or "10.1.2.3" for one address; names go into '
                "outbound_domain_allowlist"
            ) from None
        raise InvalidError(f"{where} is an address in a network: write {str(meant)!r}") from None
    if network.version != 4:
        raise InvalidError(f"{where}: containers have no IPv6; write the IPv4 network")
    return str(network)


def _domain(entry: str) -> str:
    where = f"outbound_domain_allowlist: {entry!r}"
    name = entry.strip().rstrip(".").lower()
    if name in ("", "*"):
        raise InvalidError(f"{where} is no name: {_OPEN}")
    below = name.removeprefix("*.")
    try:
        plain = below if below.isascii() else below.encode("idna").decode()
    except UnicodeError:
        plain = ""
    labels = plain.split(".")
    if (
        len(plain) > _MOST_NAME_CHARS
        or not all(0 < len(label) <= _MOST_LABEL_CHARS for label in labels)
        or not all(label.replace("-", "a").replace("_", "a").isalnum() for label in labels)
    ):
        raise InvalidError(
            f'{where} is no name: write "example.org", or "*.example.org" for all names below it, without scheme, port or path'
        )
    if all(label.isdecimal() for label in labels):
        raise InvalidError(f"{where} is an address: it goes into outbound_cidr_allowlist")
    return f"*.{plain}" if name.startswith("*.") else plain
