"""Hosts in network namespaces, all attached to one bridge: two of each zone, and one of each outside network."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from uuid import uuid4

from infra.firewall.flow_table import FlowTable
from infra.firewall.host_networks import HostNetworks
from infra.firewall.ruleset import ruleset

ECHO_SERVERS = Path(__file__).with_name("echo_servers.py")
PROBES = Path(__file__).with_name("probes.py")
SECOND = "2"  # the suffix of a zone's second host


@dataclass(frozen=True)
class Host:
    """A namespace with an address of each version of IP."""

    name: str
    place: str
    namespace: str
    addresses: tuple[str, str]

    def run(self, *command: str, text: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command in the namespace."""
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *command],
            input=text, capture_output=True, text=True, check=check, timeout=60,
        )  # fmt: skip

    def listed_rules(self) -> str:
        """Return the loaded table without its counts, or an empty text."""
        return self.run("nft", "--stateless", "list", "table", "inet", "okr_firewall", check=False).stdout


@dataclass
class Network:
    """The hosts by name, and their firewalls."""

    table: FlowTable
    hosts: Mapping[str, Host] = field(default_factory=dict)

    def rules_of(self, host: Host) -> str:
        """Return the rules of a host of a zone."""
        networks = {
            place: tuple(ip_network(a) for h in self.hosts.values() if h.place == place for a in h.addresses)
            for place in self.table.places
        }
        return ruleset(self.table, HostNetworks(frozenset({host.place}), networks))

    def zone_hosts(self) -> list[Host]:
        """Return the hosts that have firewalls."""
        return [host for host in self.hosts.values() if host.place in self.table.zones]

    def load(self, hosts: Sequence[Host]) -> None:
        """Load the firewalls of these hosts, and remove those of the others."""
        for host in self.zone_hosts():
            host.run("nft", "flush", "ruleset")
            if host in hosts:
                host.run("nft", "--file", "-", text=self.rules_of(host))

    def probe(self, probes: Sequence["Probe"]) -> dict["Probe", str]:
        """Try connections, all at the same time: passed, timed out, refused or not permitted."""
        results: dict[Probe, str] = {}
        running = []
        for source in self.hosts.values():
            own = [probe for probe in probes if probe.source == source]
            if not own:
                continue
            process = subprocess.Popen(
                ["ip", "netns", "exec", source.namespace, sys.executable, "-I", str(PROBES)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert process.stdin is not None
            process.stdin.write(json.dumps([(probe.address, probe.protocol, probe.port) for probe in own]))
            process.stdin.close()
            running.append((own, process))
        for own, process in running:
            assert process.stdout is not None
            with process.stdout:
                results |= zip(own, json.loads(process.stdout.read()), strict=True)
            assert process.wait(30) == 0
        return results


@dataclass(frozen=True)
class Probe:
    """One connection that a test tries."""

    source: Host
    destination: Host
    address: str
    protocol: str
    port: int


@contextmanager
def network(table: FlowTable, tcp_ports: Sequence[int], udp_ports: Sequence[int]) -> Iterator[Network]:
    """Create the hosts, with a server on each of the ports, and remove them all."""
    prefix, names = f"okrfw-{uuid4().hex[:6]}", [*table.places, *(f"{zone}{SECOND}" for zone in table.zones)]
    with ExitStack() as cleanup:
        bridge = _namespace(cleanup, f"{prefix}-bridge")
        _ip(bridge, "link add br0 type bridge", "link set br0 up")
        hosts = {}
        for number, name in enumerate(names, start=1):
            space, end = _namespace(cleanup, f"{prefix}-{name}"), f"to{number}"
            addresses = (f"10.99.0.{number}", f"fd99::{number}")
            _ip(bridge, f"link add {end} type veth peer name eth0 netns {space}", f"link set {end} master br0 up")
            _ip(
                space, "link set lo up", f"addr add {addresses[0]}/24 dev eth0",
                f"addr add {addresses[1]}/64 dev eth0 nodad", "link set eth0 up",
            )  # fmt: skip
            hosts[name] = Host(name, name.removesuffix(SECOND), space, addresses)
        for host in hosts.values():
            _start_servers(cleanup, host, tcp_ports, udp_ports)
        yield Network(table, hosts)


def _start_servers(cleanup: ExitStack, host: Host, tcp_ports: Sequence[int], udp_ports: Sequence[int]) -> None:
    ports = json.dumps({"tcp": list(tcp_ports), "udp": list(udp_ports)})
    process = subprocess.Popen(
        ["ip", "netns", "exec", host.namespace, sys.executable, "-I", str(ECHO_SERVERS), ports],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    cleanup.callback(process.wait, 10)
    cleanup.callback(process.terminate)
    assert process.stdout is not None
    cleanup.enter_context(process.stdout)
    assert process.stdout.readline() == "ready\n"


def _namespace(cleanup: ExitStack, name: str) -> str:
    subprocess.run(["ip", "netns", "add", name], check=True)
    cleanup.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
    return name


def _ip(namespace: str, *commands: str) -> None:
    batch = "".join(f"{command}\n" for command in commands)
    subprocess.run(["ip", "-netns", namespace, "-batch", "-"], input=batch, text=True, check=True)
