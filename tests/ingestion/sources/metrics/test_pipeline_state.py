"""Gates, holds, failed steps and publications are measured by a role that can read nothing about a person."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ingestion.sources.metrics.families import FAMILIES, Reading
from ingestion.sources.metrics.pipeline_state import business_figures, forecast_quality, pipeline_state
from lakehouse.settings import Settings
from lakehouse.step_failure import StepFailure, record

GATE = """
INSERT INTO ops.gate_result (gate, run_id, validated_at, passed, checked_rows, expectations, failed, report)
VALUES ('marts', %s, %s, %s, 100, 9, %s, '{"suites": []}')
"""
PUBLICATION = """
INSERT INTO ops.publication (published_at, data_as_of, offsets, dbt_run_id, gate, model_version, rows, is_current)
VALUES (%s, %s, '{"okr_user_events": {"0": 70}}', 'r1', '{}', '3', '{}', true)
"""
WATERMARK = "INSERT INTO raw.load_watermark (topic, kafka_partition, next_offset, log_id) VALUES (%s, %s, %s, 'log')"


def values(readings: list[Reading]) -> dict[tuple[str, ...], float]:
    """Return the values by metric and labels; each metric is a known one, with its labels."""
    for each in readings:
        assert tuple(sorted(each.labels)) == tuple(sorted(FAMILIES[each.name].labels)), each
    return {(each.name.removeprefix("okr_"), *map(str, each.labels.values())): each.value for each in readings}


def execute(dsn: str, statement: str, *parameters: object) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode(), parameters)


def test_a_new_warehouse_has_nothing_to_report(fresh_database: Settings) -> None:
    assert list(pipeline_state(fresh_database)) == []
    assert list(forecast_quality(fresh_database)) == []
    assert list(business_figures(fresh_database)) == []


def test_a_refused_gate_a_failed_step_and_unpublished_events_are_reported(fresh_database: Settings) -> None:
    owner, now = fresh_database.require("dsn_owner"), datetime.now(UTC)
    execute(owner, GATE, "r1", now - timedelta(hours=3), True, 0)
    execute(owner, GATE, "r2", now - timedelta(hours=2), False, 2)
    execute(owner, PUBLICATION, now - timedelta(hours=3), now - timedelta(hours=4))
    for partition, offset in ((0, 100), (1, 5)):
        execute(owner, WATERMARK, "okr_user_events", partition, offset)
    for run in ("r2", "r3"):
        record(fresh_database.require("dsn_transform"), StepFailure("model_training_dag", run, "train", now, "why"))
    found = values(list(pipeline_state(fresh_database)))
    hours = {name: round((now.timestamp() - value) / 3600) for name, value in found.items() if "timestamp" in name[0]}
    assert {name: value for name, value in found.items() if "timestamp" not in name[0]} == {
        ("gate_passed", "marts"): 0.0,
        ("gate_checked_rows", "marts"): 100.0,
        ("gate_failed_expectations", "marts"): 2.0,
        ("publication_hold_runs", "gate", "marts"): 1.0,
        ("step_failures", "model_training_dag", "train"): 2.0,
        ("unpublished_events", "okr_user_events"): 35.0,
        ("publication_info", "1", "3"): 1.0,
        ("publication_id",): 1.0,
    }
    assert hours == {
        ("gate_validated_timestamp_seconds", "marts"): 2,
        ("publication_hold_since_timestamp_seconds", "gate", "marts"): 2,
        ("step_last_failure_timestamp_seconds", "model_training_dag", "train"): 0,
        ("publication_timestamp_seconds",): 3,
        ("publication_data_timestamp_seconds",): 4,
    }


FORECASTS = """
CREATE TABLE marts.fct_prediction AS
SELECT 'forecast' AS model_name, '7' AS model_version, 'champion' AS role, probability, is_achieved, true AS is_scored,
    is_in_interval, now() - make_interval(days => age) AS outcome_known_at
FROM (VALUES (0.9, true, true, 1), (0.8, true, true, 2), (0.3, false, false, 3), (0.2, true, true, 4),
    (0.1, true, true, 91)) AS given (probability, is_achieved, is_in_interval, age)
"""


def test_forecasts_are_scored_as_scikit_learn_scores_them(fresh_database: Settings) -> None:
    import numpy as np

    from ml.forecast_scores import scores

    execute(fresh_database.require("dsn_transform"), FORECASTS)
    found = values(list(forecast_quality(fresh_database)))
    expected = scores(np.array([1.0, 1, 0, 1]), np.array([0.9, 0.8, 0.3, 0.2]))
    version = ("forecast", "7", "champion")
    assert found["forecast_scored", *version] == 4.0, "the outcome that has been known for 91 days does not count"
    assert found["forecast_brier_score", *version] == pytest.approx(expected["brier"])
    assert found["forecast_log_loss", *version] == pytest.approx(expected["log_loss"])
    assert found["forecast_calibration_error", *version] == pytest.approx(expected["ece"])
    assert found["forecast_interval_coverage_ratio", *version] == found["forecast_achieved_ratio", *version] == 0.75
    assert found["forecast_mean_probability", *version] == pytest.approx(0.55)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT report FROM ops.gate_result",
        "SELECT because FROM ops.publication_hold",
        "SELECT message FROM ops.step_failure",
        "SELECT * FROM marts.dim_user",
        "SELECT * FROM auth.account",
        "SELECT * FROM raw.okr_user_events",
    ],
)
def test_the_collector_cannot_read_events_or_persons(fresh_database: Settings, statement: str) -> None:
    with psycopg.connect(fresh_database.require("dsn_metrics")) as connection:
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)) as refused:
            connection.execute(statement.encode())
        assert "permission denied" in str(refused.value) or statement.endswith("marts.dim_user")
