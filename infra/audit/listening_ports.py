"""Ports on which this host listens on addresses other than loopback."""

import ipaddress
from collections.abc import Iterator

import psutil

from infra.audit.finding import Finding
from infra.audit.installation import Installation
from infra.firewall.flow_table import flow_table


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each TCP port that other hosts can reach but that is not in the table of flows for this host.

    On a server, all programs count; with a local stack only the stack's, because it runs on a person's machine.
    """
    allowed = {
        flow.port
        for flow in (*flow_table().flows, *installation.own_flows)
        if flow.protocol == "tcp" and installation.zones & {*flow.destinations}
    }  # fmt: skip
    ours = None if installation.stack is None else {process.pid for process in installation.processes()}
    seen = set()
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or (ours is not None and connection.pid not in ours):
            continue
        if not connection.laddr:
            continue
        address = ipaddress.ip_address(connection.laddr.ip.partition("%")[0])
        port = connection.laddr.port
        if is_loopback(address) or port in allowed or (address, port) in seen:
            continue
        seen.add((address, port))
        place = f"of zone {', '.join(sorted(installation.zones))}" if installation.zones else "without a zone"
        yield Finding(
            f"port {port} of {_program(connection.pid)}", f"a port that the table of flows allows for a host {place}",
            f"a server that listens on {address}",
            "Make it listen on 127.0.0.1 or a UNIX socket, or stop it; docs/firewall.md has the table.",
        )  # fmt: skip


def is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether only this host reaches the address. Python 3.11's is_loopback is false for ::ffff:127.0.0.1."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _program(pid: int | None) -> str:
    try:
        return psutil.Process(pid).name() if pid is not None else "an unknown program"
    except psutil.Error:
        return f"process {pid}"
