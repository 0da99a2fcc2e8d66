"""Addresses and rules of the network of containers, as text."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from offload.worker.sandbox.network import (
    LINES,
    NEVER,
    ROUTERS,
    Line,
    closed_commands,
    container_resolv_conf,
    dropping_chain,
    line_commands,
    machine_rules,
    name_servers,
    policy_commands,
    router_rules,
    uplink_addresses,
)


def test_no_two_lines_or_routers_share_an_address_and_all_are_closed() -> None:
    lines = [Line(1, slot) for slot in (1, 2, LINES - 1)]
    routers = [uplink_addresses(number) for number in (0, 1, ROUTERS - 1)]

    addresses = [address for line in lines for address in (line.near, line.far)]
    addresses += [address for pair in routers for address in pair]

    assert len(set(addresses)) == len(addresses)
    closed = [IPv4Network(network) for network in NEVER]
    assert all(any(IPv4Address(a) in network for network in closed) for a in addresses)


def test_what_is_never_reached_is_refused_before_anything_is_allowed() -> None:
    rules = router_rules()
    forward = rules[rules.index("chain forward") :]

    assert forward.index("@never") < forward.index("@machine") < forward.index("@open")
    assert forward.index("@machine") < forward.index("iifname . ct mark @flows accept")
    assert "policy drop" in forward


def test_a_connection_is_known_by_the_number_of_its_line_which_never_comes_again() -> None:
    first, later = Line(7, 3), Line(8, 3)

    assert first.far == later.far
    assert '"c7" . 7' in line_commands("add", first)
    assert '"c8" . 8' in line_commands("add", later)


def test_networks_within_one_another_become_one() -> None:
    line = Line(7, 3)

    commands = policy_commands("add", line, ("10.0.0.0/8", "10.1.0.0/16", "192.0.2.1/32"))

    assert commands.count('"c7"') == 2
    assert '"c7" . 10.0.0.0/8, "c7" . 192.0.2.1/32' in commands
    assert "open" in policy_commands("add", line, None)
    assert policy_commands("add", line, ()) == ""


def test_the_machines_rules_end_with_the_process_that_made_them() -> None:
    rules = machine_rules("offload-3", "198.19.0.14")

    assert "flags owner" in rules
    assert 'iifname "offload-3" drop' in rules


def test_closed_addresses_are_replaced_as_one() -> None:
    assert closed_commands([]).count("element") == 0
    assert "192.0.2.1, 192.0.2.2" in closed_commands(["192.0.2.2", "192.0.2.1", "192.0.2.2"])


def test_containers_ask_their_router_and_keep_the_machines_search_list() -> None:
    machines = (
        "# made by hand\nnameserver 127.0.0.53\nsearch lab.example\nnameserver ::1\noptions edns0\n"
    )

    text = container_resolv_conf(machines)

    assert text == "nameserver 198.18.0.1\nsearch lab.example\noptions edns0\n"
    assert name_servers(machines) == ("127.0.0.53", "::1")


def test_a_firewall_that_drops_what_is_forwarded_is_found() -> None:
    docker = "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n"
    firewalld = (
        "table inet firewalld {\n\tchain filter_FORWARD {\n\t\ttype filter hook forward priority filter + 10; policy accept;\n"
        "\t\tct state established,related accept\n\t\treject with icmpx admin-prohibited\n\t}\n}\n"
    )
    harmless = (
        "table inet mine {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n"
        "\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\tip daddr 192.0.2.1 drop\n\t}\n}\n"
    )

    assert dropping_chain(harmless + docker) == "ip filter FORWARD"
    assert dropping_chain(firewalld) == "inet firewalld filter_FORWARD"
    assert dropping_chain(harmless) == ""
