"""The table of allowed flows: read from flows.toml, checked, and shown as Markdown."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lakehouse.errors import PermanentError

FILE = Path(__file__).with_name("flows.toml")
PROTOCOLS = ("tcp", "udp")
MAX_PORT = 65_535
_TEXT = re.compile(r"[^\"\\\x00-\x1f|]{1,100}")  # nft comments and Markdown tables contain them


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
    flows = []
    for number, row in enumerate(content["flow"], start=1):
        try:
            flows.append(flow_of(row, (*zones, *networks), zones))
        except ValueError as error:
            raise PermanentError(f"Flow {number} of {file.name}: {error}.") from None
    return FlowTable(MappingProxyType(zones), MappingProxyType(networks), tuple(flows))


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


def flow_of(row: Mapping[str, Any], places: Collection[str], zones: Collection[str]) -> Flow:
    """Return the flow of a row of flows.toml or of a host's file.

    Raises:
        ValueError: the row is invalid; the message says what was expected.
    """
    problems = [*_problems(row, places, zones)]
    if problems:
        raise ValueError(f"expected {' and '.join(problems)}, got {dict(row)}")
    (protocol,) = (each for each in PROTOCOLS if each in row)
    return Flow(tuple(row["from"]), tuple(row["to"]), protocol, row[protocol], row["service"], row["why"])


def _problems(row: Mapping[str, Any], places: Collection[str], zones: Collection[str]) -> Iterator[str]:
    used = [protocol for protocol in PROTOCOLS if protocol in row]
    port = row[used[0]] if len(used) == 1 else None
    if not isinstance(port, int) or not 0 < port <= MAX_PORT:
        yield f"one port (tcp = or udp =, 1 to {MAX_PORT})"
    if unknown := row.keys() - {"from", "to", "service", "why", *PROTOCOLS}:
        yield f"no {', '.join(sorted(unknown))}"
    ends = [row.get("from"), row.get("to")]
    if not all(isinstance(end, list) and end and {*map(str, end)} <= {*places} for end in ends):
        yield f"from and to with zones or networks among {', '.join(places)}"
    elif not any({*end} & {*zones} for end in ends if end):
        yield "a zone as the source or the destination"
    if not all(_TEXT.fullmatch(str(row.get(name, ""))) for name in ("service", "why")):
        yield "service and why as texts of up to 100 characters, without quotes"
