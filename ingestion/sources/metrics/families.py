"""The metrics of `okr produce metrics` for Prometheus: the name, labels and meaning of each, and one reading of it.

`infra/prometheus/metrics.toml` lists the same names for rules and dashboards; a test compares both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.contracts.app_metric import AppMetricSampled


@dataclass(frozen=True)
class Reading:
    """One value of one metric. `about` describes a metric that is not in FAMILIES, because a file contained it."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    about: str = ""


@dataclass(frozen=True)
class Family:
    """What one metric means, and the names of its labels. Names that end in `_total` are counters, others gauges."""

    about: str
    labels: tuple[str, ...] = ()


VERSION = ("model", "version", "role")
FAMILIES: Mapping[str, Family] = {
    "okr_build_info": Family("The code's version and environment; the value is 1.", ("version", "environment")),
    "okr_measurement_up": Family("Whether a measurement succeeded; its metrics are missing if not.", ("measurement",)),
    "okr_measurement_duration_seconds": Family("How long its newest try took.", ("measurement",)),
    "okr_component_up": Family("Whether a part of the platform responds.", ("component",)),
    "okr_kafka_partitions": Family("Partitions of Kafka that are under-replicated or offline.", ("state",)),
    "okr_service_starts_total": Family("Starts of a service by the local supervisor.", ("unit",)),
    "okr_spool_waiting_events": Family("Events on this host's disk that wait for the broker.", ("spool",)),
    "okr_spool_rejected_events": Family("Events that the broker permanently rejected.", ("spool",)),
    "okr_spool_fill_ratio": Family("Share of its limit that a spool occupies (0-1).", ("spool",)),
    "okr_spool_oldest_seconds": Family("Age of the oldest event in a spool.", ("spool",)),
    "okr_consumer_lag_events": Family("Messages that a consumer group has yet to read.", ("group", "topic")),
    "okr_waiting_for_raw_events": Family("Messages that have landed but are not loaded into raw.", ("topic",)),
    "okr_lake_commit_timestamp_seconds": Family("When landing last committed; 0 if never.", ("topic",)),
    "okr_lake_rows": Family("Rows in the lake, by state: accepted or rejected.", ("topic", "state")),
    "okr_lake_files": Family("Data files of the newest version.", ("topic",)),
    "okr_lake_bytes": Family("Size of these files.", ("topic",)),
    "okr_ledger_passed": Family("1 if nothing is missing or duplicated and events were checked."),
    "okr_ledger_verified_timestamp_seconds": Family("When the ledger was created."),
    "okr_ledger_problems": Family("Gaps, offsets that are in the lake twice, and wrong sums.", ("topic",)),
    "okr_ledger_distinct_events": Family("Distinct event ids in raw.", ("topic",)),
    "okr_ledger_duplicates": Family("Events in raw that their source sent more than once.", ("topic",)),
    "okr_ledger_broker_known": Family("1 if the broker answered the queries about the topic.", ("topic",)),
    "okr_ledger_events": Family("Events of a partition by stage.", ("topic", "partition", "stage")),
    "okr_gate_passed": Family("Whether the newest validation by a gate passed.", ("gate",)),
    "okr_gate_validated_timestamp_seconds": Family("When it validated.", ("gate",)),
    "okr_gate_checked_rows": Family("Rows that it checked.", ("gate",)),
    "okr_gate_failed_expectations": Family("Rules that failed.", ("gate",)),
    "okr_publication_timestamp_seconds": Family("When the current publication was published."),
    "okr_publication_data_timestamp_seconds": Family("Its data_as_of: the newest event time that it covers."),
    "okr_publication_id": Family("The id of the current publication."),
    "okr_publication_info": Family("The current publication; the value is 1.", ("publication_id", "model_version")),
    "okr_publication_hold_runs": Family("Runs that were held back, by reason.", ("kind", "gate")),
    "okr_publication_hold_since_timestamp_seconds": Family("Since when publications are on hold.", ("kind", "gate")),
    "okr_unpublished_events": Family("Loaded events that the current publication does not cover.", ("topic",)),
    "okr_step_failures": Family("Runs whose step failed and has not succeeded since.", ("pipeline", "step")),
    "okr_step_last_failure_timestamp_seconds": Family("When it last failed.", ("pipeline", "step")),
    "okr_certificate_expiry_timestamp_seconds": Family("When a certificate ends.", ("file",)),
    "okr_backup_last_success_timestamp_seconds": Family("When a part was last backed up.", ("part",)),
    "okr_backup_last_verified_timestamp_seconds": Family("When its backup was last verified.", ("part",)),
    "okr_backup_size_bytes": Family("Size of its newest backup.", ("part",)),
    "okr_backup_last_result": Family("1 if the last run stored the part, 0 if it failed.", ("part",)),
    "okr_forecast_scored": Family("Forecasts of the last 90 days whose outcome is known.", VERSION),
    "okr_forecast_brier_score": Family("Their mean squared error; 0 is perfect.", VERSION),
    "okr_forecast_log_loss": Family("Their mean negative log-likelihood.", VERSION),
    "okr_forecast_calibration_error": Family("Expected calibration error over ten bins.", VERSION),
    "okr_forecast_interval_coverage_ratio": Family("Share of final scores within their interval (aim: 0.9).", VERSION),
    "okr_forecast_achieved_ratio": Family("Share of these key results that were achieved.", VERSION),
    "okr_forecast_mean_probability": Family("Mean forecast probability.", VERSION),
    "okr_key_results": Family("Key results of cycles that run or ended within 90 days.", ("status",)),
    "okr_key_results_open": Family("Open key results in the newest complete week."),
    "okr_key_results_checked_in": Family("Those of them with a check-in in that week."),
    "okr_active_users": Family("Users with a page view or check-in, by window (1d, 7d, 30d).", ("window",)),
}  # fmt: skip

# The events in okr_system_metrics that are also metrics for Prometheus: their names there, and what `app` is called.
_OF_EVENTS = {
    "up": ("okr_component_up", "component"),
    "consumer_lag": ("okr_consumer_lag_events", "group"),
    "waiting_for_raw": ("okr_waiting_for_raw_events", None),
    "spool_waiting": ("okr_spool_waiting_events", "spool"),
    "spool_rejected": ("okr_spool_rejected_events", "spool"),
}


def reading_of(event: AppMetricSampled) -> Reading:
    """Return an event's value as a reading for Prometheus, so that each value is measured once."""
    name, app_label = _OF_EVENTS[event.metric]
    labels = dict(event.labels) | ({app_label: event.app} if app_label else {})
    return Reading(name, event.value, labels)
