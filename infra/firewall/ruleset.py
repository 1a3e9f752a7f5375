"""Generate the nftables rules of a host from the table of flows.

One table holds everything, so that the rules of other programs stay, and one transaction replaces it: nft applies the
whole file or nothing of it.
"""

from collections.abc import Iterator

from infra.firewall.flow_table import Flow, FlowTable
from infra.firewall.host_networks import HostNetworks

TABLE = "inet okr_firewall"
HEADER = """\
# Written by `okr firewall`. Do not edit: change /etc/okr/firewall.toml (docs/firewall.md).
# The first line creates the table if it does not exist, so that the second one can delete it.
table {table}
delete table {table}
table {table} {{"""
# Errors of ICMP belong to connections (state related). Neighbour discovery is what ARP is for IPv4.
BASE = """\
        {interface} "lo" accept
        ct state vmap {{ established : accept, related : accept, invalid : drop }}
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert }} accept
        icmpv6 type {{ mld-listener-query, mld-listener-report, mld2-listener-report }} accept
        icmp type echo-request limit rate 10/second accept
        icmpv6 type echo-request limit rate 10/second accept"""
# At most a few lines per minute, because anybody can send packets.
DROPPED = """\
        limit rate 10/minute log prefix "okr-firewall dropped {direction}: "
        counter name dropped_{direction}"""


def ruleset(table: FlowTable, host: HostNetworks) -> str:
    """Return the rules as the text of a file for `nft -f`."""
    parts = [
        HEADER.format(table=TABLE),
        *(f"    counter dropped_{direction} {{}}" for direction in ("in", "out")),
        *_sets(host),
        *_chain("input", "iifname", "in", _incoming(table, host)),
        *_chain("output", "oifname", "out", _outgoing(table, host)),
        "    chain forward {",
        "        type filter hook forward priority filter; policy drop;",
        "    }",
        "}",
    ]
    return "\n".join(parts) + "\n"


def _sets(host: HostNetworks) -> Iterator[str]:
    for place in host.networks:
        for version in (4, 6):
            if addresses := host.addresses(place, version):
                yield f"    set {place}_{version} {{"
                yield f"        type ipv{version}_addr; flags interval;"
                yield f"        elements = {{ {', '.join(addresses)} }}"
                yield "    }"


def _chain(hook: str, interface: str, direction: str, rules: Iterator[str]) -> Iterator[str]:
    yield f"    chain {hook} {{"
    yield f"        type filter hook {hook} priority filter; policy drop;"
    yield BASE.format(interface=interface)
    yield from rules
    yield DROPPED.format(direction=direction)
    yield "    }"


def _incoming(table: FlowTable, host: HostNetworks) -> Iterator[str]:
    for flow in (*table.flows, *host.flows):
        if host.zones & {*flow.destinations}:
            for place in flow.sources:
                yield from _rules(flow, place, "saddr", f"from {place}", host)


def _outgoing(table: FlowTable, host: HostNetworks) -> Iterator[str]:
    for flow in (*table.flows, *host.flows):
        if host.zones & {*flow.sources}:
            for place in flow.destinations:
                yield from _rules(flow, place, "daddr", f"to {place}", host)


def _rules(flow: Flow, place: str, side: str, comment: str, host: HostNetworks) -> Iterator[str]:
    for version, family in ((4, "ip"), (6, "ip6")):
        if host.addresses(place, version):
            yield (
                f"        {family} {side} @{place}_{version} {flow.protocol} dport {flow.port} counter accept "
                f'comment "{comment}: {flow.service}"'
            )
