"""The zones of a host, the addresses of all zones and networks, and own flows, from /etc/okr/firewall.toml."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any

from infra.firewall.flow_table import Flow, FlowTable, flow_of
from lakehouse.errors import PermanentError

OPERATORS = "operators"  # a firewall without them would lock everybody out
Network = IPv4Network | IPv6Network
_NAME = re.compile(r"[a-z][a-z0-9_]{0,19}")  # nftables has sets with these names


@dataclass(frozen=True)
class HostNetworks:
    """Which zones this host belongs to (usually one), and the addresses of each zone and network, without overlaps.

    `flows` are allowed in addition to the table. They can name networks that the table does not have.
    """

    zones: frozenset[str]
    networks: Mapping[str, tuple[Network, ...]]
    flows: tuple[Flow, ...] = ()

    def addresses(self, place: str, version: int) -> tuple[str, ...]:
        """Return the networks of a place in one version of IP (4 or 6)."""
        return tuple(str(network) for network in self.networks.get(place, ()) if network.version == version)


def read_networks(file: Path, table: FlowTable) -> HostNetworks:
    """Read the file of a host.

    Raises:
        PermanentError: the file is missing or invalid; the message has a line for each error.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PermanentError(f"{file} is missing. docs/firewall.md has an example.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PermanentError(f"{file} cannot be read: {error}.") from error
    if errors := [*_errors(content, table)]:
        raise PermanentError("\n  ".join([f"{file} is invalid, and nothing was changed:", *errors]))
    parsed = {place: _collapsed(words) for place, words in content["networks"].items()}
    flows = tuple(_flows(content, table))
    return HostNetworks(frozenset(content["zones"]), MappingProxyType(parsed), flows)


def _flows(content: Mapping[str, Any], table: FlowTable) -> Iterator[Flow]:
    """Yield the host's own flows.

    Raises:
        ValueError: one of them is invalid; the message says which and why.
    """
    rows = content.get("flow", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("flow is not a list of tables. Expected [[flow]]")
    places = (*table.places, *_own_places(content, table))
    for number, row in enumerate(rows, start=1):
        try:
            yield flow_of(row, places, table.zones)
        except ValueError as error:
            raise ValueError(f"flow {number}: {error}") from None


def _own_places(content: Mapping[str, Any], table: FlowTable) -> list[str]:
    return [place for place in content.get("networks", {}) if place not in table.places]


def _errors(content: Mapping[str, Any], table: FlowTable) -> Iterator[str]:
    for name in content.keys() - {"zones", "networks", "flow"}:
        yield f"{name} is unknown. Expected zones, [networks] and [[flow]]."
    zones, networks = content.get("zones"), content.get("networks")
    if not isinstance(zones, list) or not zones:
        yield f"zones is missing. Expected a list of this host's zones: {', '.join(table.zones)}."
    elif unknown := [zone for zone in zones if zone not in table.zones]:
        yield f"zones: {', '.join(map(str, unknown))} is not a zone. Expected {', '.join(table.zones)}."
    if not isinstance(networks, dict):
        yield "[networks] is missing. Expected a list of addresses and networks for each zone and network."
        return
    if not networks.get(OPERATORS):
        yield f"networks.{OPERATORS} is empty, so nobody could log in to this host. Expected the operators' networks."
    try:
        used = {place for flow in _flows(content, table) for place in (*flow.sources, *flow.destinations)}
    except ValueError as error:
        yield f"{error}."
        used = {*_own_places(content, table)}  # the error above is the one to fix first
    for place, words in networks.items():
        if place not in table.places and place not in used:
            yield (
                f"networks.{place} is not a zone or network. Expected one of {', '.join(table.places)}, or one of a "
                "[[flow]] in this file."
            )
        elif not _NAME.fullmatch(place):
            yield f"networks.{place}: expected a name of lower-case letters, digits and _, with up to 20 characters."
        yield from _invalid_networks(place, words)


def _invalid_networks(place: str, words: object) -> Iterator[str]:
    if not isinstance(words, list):
        yield f"networks.{place} is not a list of addresses and networks."
        return
    for word in words:
        try:
            ip_network(str(word))
        except ValueError as error:
            yield f"networks.{place}: {error}. Expected an address or network such as 10.1.0.0/16."


def _collapsed(words: list[str]) -> tuple[Network, ...]:
    networks = [ip_network(word) for word in words]
    four = [network for network in networks if isinstance(network, IPv4Network)]
    six = [network for network in networks if isinstance(network, IPv6Network)]
    return (*collapse_addresses(four), *collapse_addresses(six))
