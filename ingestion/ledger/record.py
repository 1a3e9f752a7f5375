"""Store a ledger in the warehouse, and as metrics in a file.

The file is in the Prometheus text format, for a node exporter's textfile collector or any scraper. It is replaced
atomically.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from ingestion.ledger.result import Ledger, PartitionLedger, TopicLedger
from lakehouse.atomic_replace import replace_file
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    import psycopg

log = get_logger(__name__)

METRICS_FILE = "ledger.prom"  # in OKR_METRICS_DIR
STAGES = ("produced", "unlanded", "pruned", "landed", "rejected", "absent", "loaded", "waiting")
TOPIC_COLUMNS = ("topic", *STAGES, "distinct_events", "duplicates", "passed")


def record(settings: Settings, ledger: Ledger) -> None:
    """Store a ledger and the gaps that it excused in schema ops, and write its metrics.

    Raises:
        RetryableError: PostgreSQL is unavailable; the metrics are still written.
    """
    write_metrics(settings.metrics_dir / METRICS_FILE, ledger)
    with connect(settings.require("dsn_loader"), application="okr-ledger") as connection:
        for topic in ledger.topics:
            _insert(connection, "record_topic", ledger, topic, {name: getattr(topic, name) for name in TOPIC_COLUMNS})
            for each in topic.by_partition:
                values = {name: getattr(each, name) for name in ("partition", *STAGES)}
                _insert(connection, "record_partition", ledger, each, values | {"topic": topic.topic})
                for gap in each.excused:
                    key_columns = {"log_id": topic.log_id, "topic": topic.topic, "partition": each.partition}
                    gap_columns = {"start": gap.start, "end": gap.end}
                    _insert(connection, "record_excused_gap", ledger, each, key_columns | gap_columns)


def _insert(
    connection: "psycopg.Connection[tuple[object, ...]]",
    query_name: str,
    ledger: Ledger,
    counts: TopicLedger | PartitionLedger,
    values: dict[str, Any],
) -> None:
    common = {"verified_at": ledger.verified_at, "problems": Jsonb(counts.problems)}
    connection.execute(read_sql("ingestion.ledger", query_name), values | common)


def write_metrics(path: Path, ledger: Ledger) -> None:
    """Replace the metrics file. A failure is only logged, because storing the ledger matters more."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, "\n".join(as_metrics(ledger)) + "\n")
    except OSError as error:
        log.warning("the ledger's metrics could not be written", path=str(path), error=str(error))


def as_metrics(ledger: Ledger) -> Iterator[str]:
    """Yield the lines of a ledger in the Prometheus text format. Unknown values are omitted."""
    yield from _head("okr_ledger_passed", "1 if nothing is missing or duplicated and events were checked.")
    yield f"okr_ledger_passed {int(ledger.passed)}"
    yield from _head("okr_ledger_verified_timestamp_seconds", "When the ledger was created.")
    yield f"okr_ledger_verified_timestamp_seconds {ledger.verified_at.timestamp():.3f}"
    yield from _head("okr_ledger_broker_known", "1 if the broker answered the queries about the topic.")
    for topic in ledger.topics:
        yield f'okr_ledger_broker_known{{topic="{topic.topic}"}} {int(topic.is_broker_known)}'
    for name, text in (
        ("problems", "Gaps, offsets that are in the lake twice, and sums that do not add up."),
        ("distinct_events", "Distinct event ids in raw."),
        ("duplicates", "Events in raw that their source sent more than once."),
    ):
        yield from _head(f"okr_ledger_{name}", text)
        for topic in ledger.topics:
            value = len(topic.problems) if name == "problems" else getattr(topic, name)
            yield f'okr_ledger_{name}{{topic="{topic.topic}"}} {value}'
    yield from _head("okr_ledger_events", "Events of a partition by stage.")
    for topic in ledger.topics:
        for each in topic.by_partition:
            for stage in STAGES:
                value = getattr(each, stage)
                if value is not None:
                    labels = f'topic="{topic.topic}",partition="{each.partition}",stage="{stage}"'
                    yield f"okr_ledger_events{{{labels}}} {value}"


def _head(name: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
