"""Format the ledger as a table and as JSON."""

from typing import Any

from ingestion.ledger.record import STAGES
from ingestion.ledger.result import Ledger

HEADER = (
    "topic", "produced", "unlanded", "absent", "pruned", "landed", "rejected", "loaded", "waiting", "distinct",
    "duplicates", "",
)  # fmt: skip
FIELDS = (
    "produced", "unlanded", "absent", "pruned", "landed", "rejected", "loaded", "waiting", "distinct_events",
    "duplicates",
)  # fmt: skip


def as_document(ledger: Ledger) -> dict[str, Any]:
    """Return the ledger as a JSON-compatible dictionary."""
    topics = {
        topic.topic: {name: getattr(topic, name) for name in (*FIELDS, "passed", "problems", "is_broker_known")}
        | {
            "by_partition": [
                {name: getattr(each, name) for name in ("partition", *STAGES, "problems")}
                for each in topic.by_partition
            ]
        }
        for topic in ledger.topics
    }
    return {
        "verified_at": ledger.verified_at.isoformat(),
        "passed": ledger.passed,
        "verdict": _verdict(ledger),
        "topics": topics,
    }


def as_table(ledger: Ledger) -> str:
    """Return a table of topics, followed by all problems."""
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
    return "\n".join([*lines, "", *_verdict(ledger), *problems])


def _verdict(ledger: Ledger) -> list[str]:
    """Return the ledger's conclusion and the number of rows on which it is based."""
    landed = sum(topic.landed for topic in ledger.topics)
    partitions = sum(topic.partitions for topic in ledger.topics)
    checked = f"{landed:,} landed rows of {partitions} partitions checked"
    unanswered = [topic.topic for topic in ledger.topics if not topic.is_broker_known]
    lines = [
        f"The broker did not answer queries about {', '.join(unanswered)}: it is unknown whether all events have "
        "landed."
    ] * bool(unanswered)
    if ledger.checked_nothing:
        why = "the broker did not answer" if unanswered else "the broker has events"
        lines.append(
            f"Nothing is proved: {checked}, but {why}. Has landing started (`make status`), and is OKR_LAKE_URI right?"
        )
    elif ledger.passed and unanswered:
        lines.append(f"Every event in the lake landed exactly once and was loaded at most once: {checked}.")
    elif ledger.passed:
        lines.append(f"No event was lost or duplicated between Kafka and raw: {checked}.")
    if not all(topic.passed for topic in ledger.topics):
        lines.append(f"The ledger does not balance ({checked}):")
    return lines
