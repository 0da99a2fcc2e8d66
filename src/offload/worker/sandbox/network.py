"""The network of containers as data: addresses and nftables' rules, decided before anything is made.

Every container has a link of its own to one namespace, the *router*, which has one link to the outside, `up0`. What may pass
is told by the link it came in through, which nothing inside a container can change, whatever it may do to its own end.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# Set aside for measuring network devices (RFC 2544): no network that somebody wants to reach has them. The first half is the
# containers', the second the routers'.
_OURS = "198.18.0.0/15"
_CONTAINERS = int(ipaddress.IPv4Address("198.18.0.0"))
_ROUTERS = int(ipaddress.IPv4Address("198.19.0.0"))
NET_BITS = 30
LINES = 1 << 14  # of which none is the first: its address is the names'
ROUTERS = 1 << 14

# Of one container, those that have just ended included; a guess that lets a crawler work, and sixty containers of one that floods.
MOST_CONNECTIONS = 4096

NAMES_ADDRESS = "198.18.0.1"
UPLINK = "up0"
INTERFACE = "eth0"
# As nftables writes what there is. A verdict that stands alone ends what no rule before it has accepted.
_TABLE = re.compile(r"^table (\S+ \S+) \{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
_CHAIN = re.compile(r"^\tchain (\S+) \{\n(.*?)^\t\}", re.DOTALL | re.MULTILINE)
_DROPS = re.compile(r"policy drop;|^\t\t(drop|reject)\b", re.MULTILINE)
TABLE = "inet offload_net"  # "offload" is a word of nftables' own

# What no container reaches, whatever it is allowed. Platforms tell secrets to whoever asks at some of these addresses.
NEVER = (
    "0.0.0.0/8",  # this machine, to some kernels
    "100.100.100.200",  # Alibaba's metadata
    "127.0.0.0/8",
    "168.63.129.16",  # Azure's
    "169.254.0.0/16",  # link-local: metadata of AWS, Google, Azure and others
    "192.0.0.192",  # Oracle's
    _OURS,  # other containers and their routers
    "224.0.0.0/4",  # groups
    "240.0.0.0/4",  # reserved, and broadcasts
)


class Line(NamedTuple):
    """A container's link: its two ends and their addresses."""

    number: int  # never comes again
    slot: int  # comes again when nothing has it any more

    @property
    def name(self) -> str:
        """What the router calls it."""
        return f"c{self.number}"

    @property
    def kernel_index(self) -> int:
        """The kernel's number of the router's end."""
        return 1000 + self.number

    @property
    def near(self) -> str:
        """The router's address."""
        return str(ipaddress.IPv4Address(_CONTAINERS + 4 * self.slot + 1))

    @property
    def far(self) -> str:
        """The container's address."""
        return str(ipaddress.IPv4Address(_CONTAINERS + 4 * self.slot + 2))


def uplink_addresses(number: int) -> tuple[str, str]:
    """Return the addresses of a router's link to the outside: the outside's and its own."""
    first = _ROUTERS + 4 * number
    return str(ipaddress.IPv4Address(first + 1)), str(ipaddress.IPv4Address(first + 2))


def is_routers(address: str) -> bool:
    """Tell whether an address is one of a router's link to the outside."""
    return ipaddress.IPv4Address(address) in ipaddress.IPv4Network((_ROUTERS, 16))


def router_rules() -> str:
    """Return the router's rules. The sets say which line may reach what; they begin empty, and what is in none is refused.

    A connection carries the number of the line that was allowed to open it: a later container at the same address is not taken
    for an earlier one, and a name's address that has run out ends no connection.
    """
    return f"""
table {TABLE} {{
  set never {{ type ipv4_addr; flags interval; elements = {{ {", ".join(NEVER)} }}; }}
  set machine {{ type ipv4_addr; }}
  set lines {{ type ifname . ipv4_addr; }}
  set flows {{ type ifname . mark; }}
  map marks {{ type ifname : mark; }}
  set open {{ type ifname; }}
  set networks {{ type ifname . ipv4_addr; flags interval; }}
  set names {{ type ifname . ipv4_addr; }}
  chain input {{
    type filter hook input priority filter; policy drop;
    iifname . ip saddr @lines ip daddr {NAMES_ADDRESS} meta l4proto {{ tcp, udp }} th dport 53 accept
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    iifname "{UPLINK}" oifname . ct mark @flows accept
    iifname . ip saddr != @lines drop
    ip daddr @never reject with icmpx type admin-prohibited
    ip daddr @machine reject with icmpx type admin-prohibited
    oifname != "{UPLINK}" drop
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    iifname . ct mark @flows accept
    iifname @open ct mark set iifname map @marks accept
    iifname . ip daddr @networks ct mark set iifname map @marks accept
    iifname . ip daddr @names ct mark set iifname map @marks accept
    reject with icmpx type admin-prohibited
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    oifname "{UPLINK}" masquerade
  }}
}}"""


def crowd_rules() -> str:
    """Return what holds each line to so many connections: the kernel keeps a table of them for all lines, and all of the machine.

    They stand apart, because a kernel that is built without connection counting takes the others all the same.
    """
    return f"""
table {TABLE} {{
  set crowds {{ type ifname; size {LINES}; flags dynamic; }}
  chain crowd {{
    type filter hook prerouting priority mangle; policy accept;
    iifname != "{UPLINK}" ct state new add @crowds {{ iifname ct count over {MOST_CONNECTIONS} }} drop
  }}
}}"""


def machine_rules(link: str, router: str) -> str:
    """Return the rules of the machine itself for a router's link: nothing of its own is reached, the rest goes out as its own.

    The kernel removes them with the process that made them.
    """
    return f"""
table {TABLE}_{link.rpartition("-")[2]} {{
  flags owner;
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname "{link}" drop
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {router} oifname != "{link}" masquerade
  }}
}}"""


def dropping_chain(ruleset: str) -> str:
    """Return the name of a chain that drops what a machine forwards; empty where none does.

    A rule of ours that accepts a packet would not help: each chain has its say.
    """
    for table, chains in _TABLE.findall(ruleset):
        for chain, body in _CHAIN.findall(chains):
            if "hook forward" in body and _DROPS.search(body):
                return f"{table} {chain}"
    return ""


def line_commands(verb: str, line: Line) -> str:
    """Return what adds a line, which reaches nothing yet, or deletes it."""
    name = f'"{line.name}"'
    return "\n".join(
        (
            f"{verb} element {TABLE} lines {{ {name} . {line.far} }}",
            f"{verb} element {TABLE} flows {{ {name} . {line.number} }}",
            f"{verb} element {TABLE} marks {{ {name} : {line.number} }}",
        )
    )


def policy_commands(verb: str, line: Line, cidrs: Iterable[str] | None) -> str:
    """Return what lets a line reach networks, all there are for None, or takes it back."""
    name = f'"{line.name}"'
    if cidrs is None:
        return f"{verb} element {TABLE} open {{ {name} }}"
    networks = [
        str(network)
        for network in ipaddress.collapse_addresses(ipaddress.IPv4Network(cidr) for cidr in cidrs)
    ]
    elements = ", ".join(f"{name} . {network}" for network in networks)
    return f"{verb} element {TABLE} networks {{ {elements} }}" if networks else ""


def names_commands(verb: str, line: Line, addresses: Iterable[str]) -> str:
    """Return what lets a line reach addresses that were found for a name, or takes it back."""
    elements = ", ".join(f'"{line.name}" . {address}' for address in addresses)
    return f"{verb} element {TABLE} names {{ {elements} }}" if elements else ""


def closed_commands(addresses: Iterable[str]) -> str:
    """Return what closes the addresses of this machine and of the platform, and no others."""
    elements = ", ".join(sorted(set(addresses)))
    add = f"\nadd element {TABLE} machine {{ {elements} }}" if elements else ""
    return f"flush set {TABLE} machine{add}"


def container_resolv_conf(of_machine: str) -> str:
    """Return what a container's /etc/resolv.conf says: the router answers, and the machine's own words for the rest."""
    kept = [
        line
        for line in of_machine.splitlines()
        if line.split() and line.split()[0] in ("search", "domain", "options")
    ]
    return "\n".join((f"nameserver {NAMES_ADDRESS}", *kept)) + "\n"


def name_servers(resolv_conf: str) -> tuple[str, ...]:
    """Return the machine's name servers, in order."""
    words = [line.split() for line in resolv_conf.splitlines()]
    return tuple(each[1] for each in words if len(each) > 1 and each[0] == "nameserver")
