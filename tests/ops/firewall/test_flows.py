"""Hosts of all zones in network namespaces: exactly the flows of the table pass, with real servers on every port."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.firewall.flow_table import FlowTable, flow_table
from infra.local.executables import program
from tests.figures import report
from tests.ops.conftest import RequirePrograms
from tests.ops.firewall.network import Host, Network, Probe, network

# In addition to the ports of the table: those of servers that an installation has, but which no other host may reach.
OTHER_TCP = (5000, 8000, 8080, 9092)
OTHER_UDP = (161,)
BLOCKED = {"tcp": {"timed out"}, "udp": {"timed out", "not permitted"}}  # the own host's firewall fails a UDP send


@pytest.fixture(scope="module")
def hosts(require_programs: RequirePrograms) -> Iterator[Network]:
    require_programs("nft", "ip")
    table = flow_table()
    tcp, udp = ({flow.port for flow in table.flows if flow.protocol == protocol} for protocol in ("tcp", "udp"))
    with network(table, sorted({*tcp, *OTHER_TCP}), sorted({*udp, *OTHER_UDP})) as created:
        yield created


def all_probes(hosts: Network) -> list[Probe]:
    """Connections between all pairs of hosts of which at least one is in a zone, to all ports, over IPv4 and IPv6."""
    tcp, udp = ({f.port for f in hosts.table.flows if f.protocol == protocol} for protocol in ("tcp", "udp"))
    ports = [*(("tcp", port) for port in {*tcp, *OTHER_TCP}), *(("udp", port) for port in {*udp, *OTHER_UDP})]
    every = hosts.hosts.values()
    zones = hosts.table.zones
    pairs = [(a, b) for a in every for b in every if a != b and {a.place, b.place} & {*zones}]
    return [Probe(a, b, address, *port) for a, b in pairs for address in b.addresses for port in ports]


def is_allowed(table: FlowTable, probe: Probe) -> bool:
    return any(
        probe.source.place in flow.sources
        and probe.destination.place in flow.destinations
        and (probe.protocol, probe.port) == (flow.protocol, flow.port)
        for flow in table.flows
    )


def check(hosts: Network, filtered: set[Host]) -> Counter[str]:
    """Try everything that concerns a firewall: it passes if it is in the table, or if there are no firewalls."""

    def passes(probe: Probe) -> bool:
        return not filtered or is_allowed(hosts.table, probe)

    results = hosts.probe([p for p in all_probes(hosts) if not filtered or {p.source, p.destination} & filtered])
    # On a busy machine, a few of thousands of simultaneous connections are lost.
    results |= hosts.probe([probe for probe, result in results.items() if passes(probe) and result == "timed out"])
    wrong = [
        (probe.source.name, probe.destination.name, probe.address, probe.protocol, probe.port, result)
        for probe, result in results.items()
        if (passes(probe) and result != "passed") or (not passes(probe) and result not in BLOCKED[probe.protocol])
    ]
    assert not wrong, wrong[:20]
    return Counter("passed" if result == "passed" else "dropped" for result in results.values())


def counts_by_rule(host: Host) -> dict[str, int]:
    """Packets by chain and comment of the rule, and by name of the counter."""
    listed = json.loads(host.run("nft", "--json", "list", "table", "inet", "okr_firewall").stdout)["nftables"]
    found: Counter[str] = Counter()
    for each in listed:
        if counter := each.get("counter"):
            found[counter["name"]] = counter["packets"]
        rule = each.get("rule", {})
        for statement in rule.get("expr", ()):
            if "packets" in (counter := statement.get("counter") or ()):
                family = "IPv6" if "ip6" in json.dumps(rule) else "IPv4"
                found[f"{rule['comment']}, {family}"] += counter["packets"]
    return found


def test_exactly_the_flows_of_the_table_pass(hosts: Network) -> None:
    everywhere = {*hosts.zone_hosts()}
    hosts.load([])
    control = check(hosts, set())
    assert control["dropped"] == 0  # so every port has a server, and what is dropped below is dropped by a firewall
    hosts.load([*everywhere])
    counts = check(hosts, everywhere)

    assert counts["passed"] == sum(is_allowed(hosts.table, probe) for probe in all_probes(hosts))
    for host in everywhere:
        packets = counts_by_rule(host)
        assert min(packets.values()) > 0, (host.name, packets)
        assert {"dropped_in", "dropped_out"} <= packets.keys()
    pairs = {(probe.source.place, probe.destination.place) for probe in all_probes(hosts)}
    rows = [
        ["without firewalls", str(control["passed"]), "0"],
        ["with the firewalls of all zones", str(counts["passed"]), str(counts["dropped"])],
    ]
    report(
        "Firewall: connections between all pairs of hosts",
        ["hosts in network namespaces", "passed", "dropped"], rows,
        f"{len(hosts.table.flows)} rows of the table of flows, {len(pairs)} pairs of places, IPv4 and IPv6, a real "
        "server on every port. Exactly the flows of the table passed; the others got no answer.",
    )  # fmt: skip


@pytest.mark.parametrize("place", ["edge", "app", "data"])
def test_one_firewall_suffices_against_hosts_without_one(hosts: Network, place: str) -> None:
    filtered = {host for host in hosts.zone_hosts() if host.place == place}
    hosts.load([*filtered])
    assert check(hosts, filtered)["dropped"] > 50


def test_loading_twice_changes_nothing_and_leaves_other_tables(hosts: Network) -> None:
    data = hosts.hosts["data"]
    hosts.load([data])
    other = "table inet other {\nchain input {\ntype filter hook input priority 5; policy accept;\n}\n}\n"
    data.run("nft", "--file", "-", text=other)
    before = data.listed_rules(), data.run("nft", "list", "table", "inet", "other").stdout
    data.run("nft", "--file", "-", text=hosts.rules_of(data))
    assert (data.listed_rules(), data.run("nft", "list", "table", "inet", "other").stdout) == before
    assert "policy drop" in before[0]


def test_a_connection_survives_the_loading_of_rules(hosts: Network) -> None:
    hosts.load(hosts.zone_hosts())
    app, data = hosts.hosts["app"], hosts.hosts["data"]
    script = (
        "import socket, sys\n"
        f"c = socket.create_connection(({data.addresses[0]!r}, 5432), 5)\n"
        "print('connected', flush=True); sys.stdin.readline(); c.sendall(b'x'); print(c.recv(1))"
    )
    client = subprocess.Popen(
        ["ip", "netns", "exec", app.namespace, "python3", "-c", script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdout.readline() == "connected\n"
    for host in (app, data):
        host.run("nft", "--file", "-", text=hosts.rules_of(host))
    assert client.communicate("\n", timeout=10)[0] == "b'x'\n"


def test_a_broken_file_leaves_the_old_rules(hosts: Network, tmp_path: Path) -> None:
    data, kept, networks = hosts.hosts["data"], tmp_path / "firewall.nft", tmp_path / "firewall.toml"
    networks.write_text(
        'zones = ["data"]\n[networks]\noperators = ["10.99.0.5"]\napp = ["10.99.0.2"]\nmail = ["10.99.0.9"]\n'
        '[[flow]]\nfrom = ["data"]\nto = ["mail"]\ntcp = 587\nservice = "SMTP"\nwhy = "alerts"\n'
    )
    command = (program("okr"), "firewall", "load", "--networks", str(networks), "--file", str(kept))
    data.run(*command)
    loaded, stored = data.listed_rules(), kept.read_text()
    assert "10.99.0.5" in loaded
    assert "@mail_4 tcp dport 587" in loaded, "a flow of the operator's own"
    assert kept.stat().st_mode & 0o777 == 0o600

    networks.write_text('zones = ["data"]\n[networks]\noperators = ["10.99.0.555"]\n')
    failed = data.run(*command, check=False)
    assert (failed.returncode, "10.99.0.555" in failed.stderr) == (1, True)
    broken = tmp_path / "broken.nft"
    broken.write_text(stored.replace("dport 22", "dport twenty-two"))
    assert data.run("nft", "--file", str(broken), check=False).returncode == 1
    assert (data.listed_rules(), kept.read_text()) == (loaded, stored)


def test_a_file_that_cannot_be_written_is_reported(hosts: Network, tmp_path: Path) -> None:
    networks = tmp_path / "firewall.toml"
    networks.write_text('zones = ["data"]\n[networks]\noperators = ["0.0.0.0/0", "::/0"]\n')
    command = (program("okr"), "firewall", "load", "--networks", str(networks), "--file", "/proc/firewall.nft")
    failed = hosts.hosts["data"].run(*command, check=False)
    assert failed.returncode == 1
    assert "The rules apply, but /proc/firewall.nft could not be written" in failed.stderr
