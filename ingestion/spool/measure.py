"""Measure the spools of all services of a server, which are in the folders of their users, for Prometheus.

Files are only read, so that a user who may read everything and write nothing can do it.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ingestion.spool.sqlite_errors import explained
from ingestion.spool.store import BUSY_SECONDS, SUFFIX, Limits, SpoolState, read_state
from lakehouse.atomic_replace import replace_file

METRICS_FILE = "spools.prom"  # in OKR_METRICS_DIR
COLLECTOR = "okr-metrics"  # measures its own spool
ABOUT = {
    "okr_spool_waiting_events": "Events on this host's disk that wait for the broker.",
    "okr_spool_rejected_events": "Events that the broker permanently rejected.",
    "okr_spool_fill_ratio": "Share of its limit that a spool occupies (0-1).",
    "okr_spool_oldest_seconds": "Age of the oldest event in a spool.",
}


def spools_of_services(folder: Path, limits: Limits) -> dict[str, SpoolState]:
    """Return the state of each source but the metrics collector, from the spools in the folders of all services.

    Two services can have a spool of the same source: their events are added up.

    Raises:
        OkrError: a spool cannot be read.
    """
    states: dict[str, SpoolState] = {}
    for path in sorted(folder.glob(f"*/spool/*{SUFFIX}")):
        if path.stem == COLLECTOR:
            continue
        with explained(path):
            state = _state(path, limits)
        other = states.get(path.stem)
        states[path.stem] = _sum(other, state) if other else state
    return states


def write_metrics(folder: Path, states: Mapping[str, SpoolState]) -> Path:
    """Replace the file in Prometheus' text format, and return its path.

    Raises:
        OSError: the file cannot be written; the old one is unchanged.
    """
    lines = []
    for name, about in ABOUT.items():
        lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge"]
        lines += [f'{name}{{spool="{source}"}} {_value(name, state)}' for source, state in states.items()]
    path = folder / METRICS_FILE
    replace_file(path, "\n".join([*lines, ""]))
    return path


def _state(path: Path, limits: Limits) -> SpoolState:
    # SQLite would create its index file if no process has the spool open. Then nobody changes the spool, either.
    option = "mode=ro" if path.with_name(f"{path.name}-shm").exists() else "immutable=1"
    with closing(sqlite3.connect(f"file:{quote(str(path))}?{option}", BUSY_SECONDS, uri=True)) as connection:
        return read_state(connection, limits)


def _sum(one: SpoolState, other: SpoolState) -> SpoolState:
    return SpoolState(
        one.waiting + other.waiting,
        one.rejected + other.rejected,
        one.bytes + other.bytes,
        max(one.oldest_seconds, other.oldest_seconds),
        max(one.fill_ratio, other.fill_ratio),
    )


def _value(name: str, state: SpoolState) -> float:
    match name:
        case "okr_spool_waiting_events":
            return state.waiting
        case "okr_spool_rejected_events":
            return state.rejected
        case "okr_spool_fill_ratio":
            return state.fill_ratio
        case _:
            return state.oldest_seconds
