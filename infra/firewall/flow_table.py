"""The table of allowed flows: read from flows.toml, checked, and shown as Markdown."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lakehouse.errors import PermanentError

FILE = Path(__file__).with_name("flows.toml")
PROTOCOLS = ("tcp", "udp")
MAX_PORT = 65_535


@dataclass(frozen=True)
class Flow:
    """Connections to one port that are allowed from some places to others. A place is a zone or an outside network."""

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    protocol: str
    port: int
    service: str
    why: str


@dataclass(frozen=True)
class FlowTable:
    """The flows, and what each place is. Zones are the platform's own hosts; networks are outside of it."""

    zones: Mapping[str, str]
    networks: Mapping[str, str]
    flows: tuple[Flow, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Return the names of all zones and networks."""
        return (*self.zones, *self.networks)


@cache
def flow_table(file: Path = FILE) -> FlowTable:
    """Read the table.

    Raises:
        PermanentError: a row is invalid; the message says which and why.
    """
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    zones, networks = content["zones"], content["networks"]
    flows = tuple(_flow(number, row, zones, networks) for number, row in enumerate(content["flow"], start=1))
    return FlowTable(MappingProxyType(zones), MappingProxyType(networks), flows)


def markdown(table: FlowTable) -> str:
    """Return the flows as a Markdown table, and the zones and networks as a second one."""
    flows = [
        (", ".join(flow.sources), ", ".join(flow.destinations), f"{flow.protocol} {flow.port}", flow.service, flow.why)
        for flow in table.flows
    ]
    places = [
        *((name, "zone", about) for name, about in table.zones.items()),
        *((name, "network", about) for name, about in table.networks.items()),
    ]
    return "\n\n".join(
        (_rows(("from", "to", "port", "service", "why"), flows), _rows(("name", "kind", "what it is"), places))
    )


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _flow(number: int, row: Mapping[str, Any], zones: Mapping[str, str], networks: Mapping[str, str]) -> Flow:
    problems = []
    used = [protocol for protocol in PROTOCOLS if protocol in row]
    if len(used) != 1 or not 0 < row[used[0]] <= MAX_PORT:
        problems.append(f"one port (tcp = or udp =, 1 to {MAX_PORT})")
    if not {*row["from"], *row["to"]} <= {*zones, *networks}:
        problems.append(f"zones or networks among {', '.join((*zones, *networks))}")
    if not {*row["from"]} & {*zones} and not {*row["to"]} & {*zones}:
        problems.append("a zone as the source or the destination")
    if problems:
        raise PermanentError(f"Flow {number} of flows.toml: expected {' and '.join(problems)}, got {dict(row)}.")
    return Flow(tuple(row["from"]), tuple(row["to"]), used[0], row[used[0]], row["service"], row["why"])
