"""Measure gates, publications, failed steps and unpublished events in the warehouse, each by one small statement."""

from collections.abc import Iterator, Mapping
from typing import Any

from ingestion.sources.metrics.families import Reading
from lakehouse.connection_limits import Limits
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

LIMITS = Limits(statement_s=10, lock_s=2, idle_s=60)
SLOW_LIMITS = Limits(statement_s=60, lock_s=2, idle_s=120)
# The columns that are labels; every other column is a metric, whose name it completes.
LABELS = frozenset({"gate", "kind", "topic", "pipeline", "step", "model", "version", "role"})


def pipeline_state(settings: Settings) -> Iterator[Reading]:
    """Yield the newest result of each gate, the holds and the current publication, and the failed steps.

    Raises:
        RetryableError, psycopg.Error: PostgreSQL does not respond.
    """
    yield from _rows(settings, "gate_results", "okr_gate_")
    yield from _rows(settings, "publication_holds", "okr_publication_hold_")
    yield from _rows(settings, "step_failures", "okr_step_")
    yield from _rows(settings, "unpublished_events", "okr_unpublished_")
    for row in _select(settings, "current_publication"):
        names = {"publication_id": str(int(row["id"])), "model_version": str(row.pop("model_version") or "")}
        yield Reading("okr_publication_info", 1.0, names)
        yield from _readings(row, "okr_publication_")


def forecast_quality(settings: Settings) -> Iterator[Reading]:
    """Yield how good the served forecasts of the last 90 days were, of those whose outcome is known, by version.

    Raises:
        RetryableError, psycopg.Error: PostgreSQL does not respond.
    """
    yield from _rows(settings, "forecast_quality", "okr_forecast_", SLOW_LIMITS)


def business_figures(settings: Settings) -> Iterator[Reading]:
    """Yield counts of key results, check-ins and active users of the whole installation, never of a person.

    Raises:
        RetryableError, psycopg.Error: PostgreSQL does not respond.
    """
    for row in _select(settings, "business_figures", SLOW_LIMITS):
        label, value = str(row["label"]), row["label_value"]
        if row["value"] is not None:
            yield Reading(str(row["metric"]), float(row["value"]), {label: str(value)} if value else {})


def _rows(settings: Settings, query: str, prefix: str, limits: Limits = LIMITS) -> Iterator[Reading]:
    for row in _select(settings, query, limits):
        yield from _readings(row, prefix)


def _readings(row: Mapping[str, Any], prefix: str) -> Iterator[Reading]:
    labels = {name: str(value or "") for name, value in row.items() if name in LABELS}
    for name, value in row.items():
        if name not in LABELS and value is not None:
            yield Reading(f"{prefix}{name}", float(value), labels)


def _select(settings: Settings, query: str, limits: Limits = LIMITS) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connect(
        settings.require("dsn_metrics"), application="okr-metrics", autocommit=True, limits=limits
    ) as connection:
        return connection.cursor(row_factory=dict_row).execute(read_sql(__package__ or "", query).encode()).fetchall()
