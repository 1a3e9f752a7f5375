"""Write docs/faults.md from the lines that `prove` collected: python -m tests.faults.report_page <lines> <page>."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.proof import Line

HEAD = """# Injected faults and lost events

Written by `make test-chaos`; do not edit. Each row is one test that injects the fault into real processes and a real
broker, runs `okr lake verify`, and counts. *Sent* is the number of messages that the broker accepted, excluding
messages that the test removed from the broker before they landed (by truncation, compaction or an aborted transaction).
*Found* is the number of distinct events in the lake; each invalid message counts as one. If events were sent more than
once, *found* is smaller than *sent*, although nothing is lost. *Lost* events are missing from the lake; *duplicated*
rows are rows that the lake has in addition to the messages sent. *Reported in* names the issue, pull request (PR) or
topic of another project in which the fault was reported, and *effect there* says what it caused in that project.

{total}

| fault | reported in | effect there | our test | sent | found | lost | duplicated |
|---|---|---|---|--:|--:|--:|--:|
"""


def page(lines: Sequence[Line]) -> str:
    """Return the page: one row per test and fault, in the order of the tests' names."""
    rows: dict[tuple[str, str], Line] = {}
    for line in sorted(lines, key=lambda line: (line.test, line.fault)):
        key = (line.test, line.fault)
        rows[key] = _sum(rows[key], line) if key in rows else line
    sent, lost, duplicated = (
        sum(getattr(row, name) for row in rows.values()) for name in ("sent", "lost", "duplicated")
    )
    threads = [row.thread for row in rows.values() if row.thread]
    total = (
        f"{len(rows)} tests; {len(threads)} of them inject faults that were reported in other projects "
        f"({len(set(threads))} reports).\n{sent:,} events sent, {lost:,} lost, {duplicated:,} duplicated."
    )
    return HEAD.format(total=total) + "".join(map(_row, rows.values()))


def read(path: Path) -> list[Line]:
    """Read the lines that `prove` wrote."""
    return [Line(**json.loads(text)) for text in path.read_text(encoding="utf-8").splitlines()]


def _sum(one: Line, other: Line) -> Line:
    counts = {name: getattr(one, name) + getattr(other, name) for name in ("sent", "found", "lost", "duplicated")}
    return Line(one.test, one.fault, one.thread, one.happened, **counts)


def _row(line: Line) -> str:
    test = line.test.removeprefix("tests/faults/").replace("::", " ").replace("|", "\\|")
    cells = [line.fault, line.thread, line.happened, f"`{test}`"]
    cells += [f"{count:,}" for count in (line.sent, line.found, line.lost, line.duplicated)]
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Write the page."""
    lines, target = map(Path, sys.argv[1:])
    target.write_text(page(read(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
