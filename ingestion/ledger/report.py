"""The ledger for people and for programs."""

from typing import Any

from ingestion.ledger.verify import Ledger

HEADER = ("topic", "produced", "landed", "rejected", "loaded", "waiting", "distinct", "duplicates", "")
FIELDS = ("produced", "landed", "rejected", "loaded", "waiting", "distinct_events", "duplicates")


def as_document(ledger: Ledger) -> dict[str, Any]:
    """Return the ledger as JSON's types."""
    topics = {
        topic.topic: {name: getattr(topic, name) for name in (*FIELDS, "passed", "problems")} for topic in ledger.topics
    }
    return {"verified_at": ledger.verified_at.isoformat(), "passed": ledger.passed, "topics": topics}


def as_table(ledger: Ledger) -> str:
    """Return a table of topics, then every problem."""
    rows: list[tuple[str, ...]] = [HEADER]
    for topic in ledger.topics:
        values = ("unknown" if getattr(topic, name) is None else f"{getattr(topic, name):,}" for name in FIELDS)
        rows.append((topic.topic, *values, "ok" if topic.passed else "BROKEN"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    problems = [f"{topic.topic}: {problem}" for topic in ledger.topics for problem in topic.problems]
    verdict = "Every event is landed once and loaded at most once." if ledger.passed else "The ledger is broken:"
    return "\n".join([*lines, "", verdict, *problems])
