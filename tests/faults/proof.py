"""The end of every fault test: run the real `okr lake verify`, then compare the sent with the landed events."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable

from lakehouse.contracts import TOPICS
from lakehouse.lake import open_table, table_uri
from lakehouse.settings import Settings
from tests.ingestion.crash import OKR, environment_of

TABLE_FILE = "OKR_FAULT_TABLE"  # where the lines for docs/faults.md are collected, when set
VERIFY_SECONDS = 240


@dataclass(frozen=True)
class Line:
    """One row of docs/faults.md. `sent`, `found`, `lost` and `duplicated` count events."""

    test: str
    fault: str
    thread: str
    happened: str
    sent: int
    found: int
    lost: int
    duplicated: int


@dataclass(frozen=True)
class Found:
    """A topic's landing table: rows, distinct event ids of valid rows, distinct positions of rejected rows."""

    rows: int
    events: int
    rejected: int


def prove(
    settings: Settings,
    *,
    fault: str,
    sent: int,
    distinct: int | None = None,
    thread: str = "",
    happened: str = "",
) -> Line:
    """Assert that `okr lake verify` passes, and that sent events are in the lake once, and in raw once if loaded.

    `sent` is the number of messages that the broker has or had from the first landed offset on. `distinct` is the
    number of distinct events among them, where each invalid message counts as one (default: `sent`). The line is
    written before the assertions, so that a table of a failed run shows the failure.

    `fault` is its short name, `thread` the issue of another project ("delta-rs #2580"), `happened` its effect there in
    one line. Several calls of one test with the same `fault` become one row of the table.
    """
    distinct = sent if distinct is None else distinct
    document = verified(settings)
    found = {topic: _found(settings, topic) for topic in TOPICS}
    events = sum(each.events + each.rejected for each in found.values())
    repeats = sum(each.rows for each in found.values()) - events
    line = Line(
        test=os.environ.get("PYTEST_CURRENT_TEST", "").partition(" (")[0],
        fault=fault,
        thread=thread,
        happened=happened,
        sent=sent,
        found=events,
        lost=distinct - events,
        duplicated=repeats - (sent - distinct),
    )
    _write(line)
    assert (line.lost, line.duplicated) == (0, 0), line
    for topic, account in document["topics"].items():
        if account["loaded"] and not account["waiting"]:
            assert account["distinct_events"] == found[topic].events, f"{topic}: raw has other events than the lake"
    return line


def verified(settings: Settings) -> Mapping[str, Any]:
    """Run `okr lake verify --json` in a process and return its document; it must exit with status 0."""
    answer = verify_command(settings)
    assert answer.returncode == 0, f"okr lake verify: {answer.stdout}{answer.stderr}"
    document: Mapping[str, Any] = json.loads(answer.stdout)
    return document


def verify_command(settings: Settings) -> "subprocess.CompletedProcess[str]":
    """Run `okr lake verify --json` in a process, with any result."""
    return subprocess.run(
        [*OKR, "lake", "verify", "--json"],
        env=environment_of(settings),
        capture_output=True,
        text=True,
        timeout=VERIFY_SECONDS,
        check=False,
    )


def _found(settings: Settings, topic: str) -> Found:
    uri = table_uri(settings.require("lake_uri"), topic)
    if not DeltaTable.is_deltatable(uri):
        return Found(0, 0, 0)
    is_bad = pl.col("rejection_reason").is_not_null()
    place = pl.struct("kafka_partition", "kafka_offset")
    counts = (
        pl.scan_delta(open_table(uri))
        .select(
            pl.len().alias("rows"),
            pl.col("event_id").filter(~is_bad).n_unique().alias("events"),
            place.filter(is_bad).n_unique().alias("rejected"),
        )
        .collect()
    )
    return Found(**counts.row(0, named=True))


def _write(line: Line) -> None:
    path = os.environ.get(TABLE_FILE)
    if path:
        # A single write per line, because several pytest workers may append to the same file.
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(line)) + "\n")
