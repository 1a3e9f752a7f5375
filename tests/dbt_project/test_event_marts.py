"""The marts of events: duplicates, corrections, orphans, page views, metrics, pipeline runs and forecasts."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lakehouse.contracts.alert import AlertChanged
from lakehouse.contracts.host_metric import HostMetricSampled
from lakehouse.contracts.page import PageViewed
from lakehouse.contracts.pipeline_step import PipelineStepFinished
from lakehouse.contracts.prediction import ModelPredictionServed, ModelPredictionShadowed, PredictionServed
from lakehouse.contracts.user import UserDefined
from lakehouse.warehouse import read_sql


def _at(month: int, day: int, hour: int = 10, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def _check_ins(log: Any) -> None:
    log.key_result("open")
    log.repeat(log.check_in("open", 10.0, _at(1, 10), user_id="ada", confidence=0.5, note="slow"))
    log.check_in("open", 20.0, _at(1, 17), user_id="ada", check_in_id="corrected")
    log.check_in("open", 25.0, _at(1, 17), user_id="ada", check_in_id="corrected", log={"logged_at": _at(1, 20)})
    log.check_in("unknown", 1.0, _at(1, 11), user_id="ada")
    log.key_result("imported", "past")
    import_day = _at(2, 1)
    for value, logged_at in ((1.0, import_day), (2.0, import_day + timedelta(days=1))):
        log.check_in(
            "imported", value, datetime(2025, 11, 1, tzinfo=UTC), log={"assumed": True, "logged_at": logged_at}
        )
    log.key_result("done", "past")
    log.check_in("done", 80.0, datetime(2025, 12, 31, 12, tzinfo=UTC), is_final=True)


def _prediction(key_result_id: str, as_of: datetime, **fields: Any) -> PredictionServed:
    return PredictionServed(
        prediction_id=fields.pop("prediction_id", f"{key_result_id} at {as_of:%m-%d}"),
        key_result_id=key_result_id,
        as_of=as_of,
        probability=fields.pop("probability", 0.75),
        low=0.5,
        high=0.9,
        model_name="key_result_outcome",
        model_version="1",
        role="champion",
        publication_id=7,
        reasons=["pace of the last weeks", "time left"],
    )


def _by_any_model(subject_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "prediction_id": f"v2 of {subject_id}",
        "subject_type": "key_result",
        "subject_id": subject_id,
        "model_name": "key_result_outcome",
        "model_version": "2",
        "role": "challenger",
        "output": {"probability": 0.25, "low": 0.1, "high": 0.8, "level": 0.9},
        "outcome_type": "key_result_achieved",
        "experiment": "second",
        "arm": "new",
        "as_of": datetime(2025, 12, 1, tzinfo=UTC),
    } | fields


def _alerts(log: Any) -> None:
    def add(fingerprint: str, starts_at: datetime, ends_at: datetime | None = None) -> Any:
        status = "firing" if ends_at is None else "resolved"
        alert = AlertChanged(
            fingerprint=fingerprint, alert="ApiDown", status=status, starts_at=starts_at, ends_at=ends_at,
            severity="critical", service="api", summary="The API is down.",
        )  # fmt: skip
        return log.add(alert, ends_at or starts_at)

    log.repeat(add("a1", _at(1, 10, 8)))
    add("a1", _at(1, 10, 8), _at(1, 10, 8, 30))
    add("a1", _at(1, 10, 9))  # the same alert fires again
    add("b2", _at(1, 10, 8), _at(1, 10, 7, 59))  # its start was never reported, and a clock was set back


def _log_of_events(log: Any) -> None:
    log.organisation()
    _check_ins(log)
    renamed = UserDefined(user_id="ada", name="Ada L.", email="ada@example.org", team_id="team")
    log.add(renamed, _at(1, 15))
    for hour in (8, 9, 23):
        log.repeat(log.add(PageViewed(user_id="ada", page="scorecard", key_result_id="open"), _at(1, 10, hour)))
    log.add(PageViewed(user_id="stranger", page="home"), _at(1, 10, 23, 59), mood="unknown fields are welcome")
    for minute, value in ((0, 0.1), (30, 0.3), (59, 0.2)):
        sample = HostMetricSampled(host="h", metric="cpu_busy", value=value, unit="ratio")
        log.repeat(log.add(sample, _at(1, 10, 8, minute)))
    log.add(HostMetricSampled(host="h", metric="cpu_busy", value=0.9, unit="ratio"), _at(1, 10, 9))
    for step, state, start, end, message in (
        ("load", "success", 0, 2, None),
        ("dbt", "failed", 2, 5, "deadlock"),
        ("dbt", "success", 6, 9, None),
        ("gate", "failed", 9, 10, "3 of 40 failed"),
    ):
        log.add(
            PipelineStepFinished(
                pipeline="okr_etl_dag", step=step, run_id="r1", state=state, started_at=_at(1, 10, 8, start),
                finished_at=_at(1, 10, 8, end), message=message,
            ),
            _at(1, 10, 8, end),
        )  # fmt: skip
    _alerts(log)
    december = datetime(2025, 12, 1, tzinfo=UTC)
    log.add(_prediction("done", december), december)
    log.add(_prediction("done", december, prediction_id="served late"), _at(1, 1))
    log.add(
        _prediction("done", december, prediction_id="learned from it"), december, trained_until="2026-01-02T00:00:00Z"
    )
    log.add(
        _prediction("done", december, prediction_id="learned before"), december, trained_until="2025-11-02T00:00:00Z"
    )
    log.add(_prediction("done", december, prediction_id="of another cycle"), december, cycle_id="running")
    log.add(ModelPredictionServed(**_by_any_model("done")), december)
    log.add(
        ModelPredictionShadowed(**_by_any_model("done", prediction_id="shadow"), served_prediction_id="p"), december
    )
    other = {"outcome_type": None, "output": {"similar": ["a", "b"]}, "prediction_id": "another shape"}
    log.add(ModelPredictionServed(**_by_any_model("done", **other)), december)
    request = {"subject_type": "request", "prediction_id": "of features"}
    log.add(ModelPredictionServed(**_by_any_model("of features", **request)), december)
    log.add(_prediction("open", _at(1, 12)), _at(1, 12))
    log.repeat(log.add(_prediction("unknown", _at(1, 12)), _at(1, 12)))
    # The same id again: the first forecast counts.
    log.add(_prediction("open", _at(1, 12), probability=0.1), _at(1, 13))


@pytest.fixture(scope="module")
def marts(dbt: Any, new_log: Callable[[], Any]) -> Any:
    log = new_log()
    _log_of_events(log)
    log.load(dbt.settings)
    dbt.build()
    return dbt


def _check_in(marts: Any, check_in_id: str) -> dict[str, Any]:
    return marts.row("select * from fct_check_in where check_in_id = %s", check_in_id)


def test_a_duplicate_event_gives_one_check_in(marts: Any) -> None:
    row = _check_in(marts, "open@01-10T10:00")
    assert (row["value"], row["note"], row["correction_count"]) == (10.0, "slow", 0)
    assert marts.row("select count(*) as n from fct_check_in")["n"] == 5


def test_a_correction_replaces_the_value_and_stays_in_the_history(marts: Any) -> None:
    row = _check_in(marts, "corrected")
    assert (row["value"], row["correction_count"], row["recorded_at"]) == (25.0, 1, _at(1, 20))
    versions = marts.rows(
        "select value, superseded_at from fct_check_in_version where check_in_id = 'corrected' order by version_number"
    )
    assert versions == [{"value": 20.0, "superseded_at": _at(1, 20)}, {"value": 25.0, "superseded_at": None}]


def test_imported_history_is_known_when_it_occurred_and_its_correction_when_logged(marts: Any) -> None:
    versions = marts.rows(
        "select value, recorded_at, is_recorded_at_assumed from fct_check_in_version "
        "where key_result_id = 'imported' order by version_number"
    )
    assert versions == [
        {"value": 1.0, "recorded_at": datetime(2025, 11, 1, tzinfo=UTC), "is_recorded_at_assumed": True},
        {"value": 2.0, "recorded_at": _at(2, 2), "is_recorded_at_assumed": True},
    ]


def test_a_check_in_of_an_unknown_key_result_is_kept_and_marked(marts: Any) -> None:
    row = _check_in(marts, "unknown@01-11T10:00")
    assert (row["is_key_result_known"], row["is_in_cycle"], row["value"]) == (False, False, 1.0)
    assert (row["progress_ratio"], row["elapsed_ratio"], row["team_id"]) == (None, None, None)


def test_history_of_a_user_follows_the_events(marts: Any) -> None:
    rows = marts.rows("select name, valid_from, valid_to, is_current from dim_user where user_id = 'ada' order by 2")
    start = datetime(2025, 1, 1, tzinfo=UTC)
    assert rows == [
        {"name": "Ada", "valid_from": start, "valid_to": _at(1, 15), "is_current": False},
        {"name": "Ada L.", "valid_from": _at(1, 15), "valid_to": None, "is_current": True},
    ]


def test_activity_counts_views_and_check_ins_by_utc_day_including_unknown_users(marts: Any) -> None:
    rows = marts.rows("select * from fct_user_activity_daily where day = %s order by user_id", date(2026, 1, 10))
    ada = {
        "day": date(2026, 1, 10),
        "team_id": "team",
        "organisation_id": "org",
        "page_view_count": 3,
        "check_in_count": 1,
        "key_result_count": 1,
    }
    stranger = {
        "day": date(2026, 1, 10),
        "team_id": None,
        "organisation_id": None,
        "page_view_count": 1,
        "check_in_count": 0,
        "key_result_count": 0,
    }
    assert rows == [{"user_id": "ada"} | ada, {"user_id": "stranger"} | stranger]


def test_host_metrics_are_aggregated_by_hour(marts: Any) -> None:
    rows = marts.rows("select * from fct_system_health_hourly order by hour_at")
    assert [row["hour_at"] for row in rows] == [_at(1, 10, 8), _at(1, 10, 9)]
    assert (rows[0]["sample_count"], rows[0]["min_value"], rows[0]["max_value"]) == (3, 0.1, 0.3)
    assert rows[0]["mean_value"] == pytest.approx(0.2)
    assert rows[0]["p95_value"] == pytest.approx(0.29)


def test_the_last_try_of_a_step_counts(marts: Any) -> None:
    run = marts.row("select * from fct_pipeline_run")
    assert (run["step_count"], run["failed_step_count"], run["state"]) == (3, 1, "failed")
    assert (run["first_failed_step"], run["failure_message"]) == ("gate", "3 of 40 failed")
    assert run["duration_s"] == 600.0


def test_an_alert_has_a_row_for_each_period_in_which_it_fired(marts: Any) -> None:
    rows = marts.rows(
        "select fingerprint, started_at, state, resolved_at, duration_s from fct_alert order by fingerprint, started_at"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("a1", _at(1, 10, 8), "resolved", _at(1, 10, 8, 30), 1800.0),
        ("a1", _at(1, 10, 9), "firing", None, None),
        ("b2", _at(1, 10, 8), "resolved", _at(1, 10, 8), 0.0),
    ]


def test_a_forecast_is_scored_only_when_served_before_its_outcome_was_known(marts: Any) -> None:
    before = marts.row("select * from fct_prediction where prediction_id = 'done at 12-01'")
    assert (before["is_scored"], before["brier_score"], before["is_in_interval"]) == (True, 0.0625, True)
    assert (before["final_score"], before["is_achieved"]) == (0.8, True)
    after = marts.row("select * from fct_prediction where prediction_id = 'served late'")
    assert (after["is_closed"], after["is_scored"], after["brier_score"]) == (True, False, None)


def test_a_forecast_of_a_model_trained_on_the_outcome_is_not_scored(marts: Any) -> None:
    rows = marts.rows(
        "select prediction_id, is_scored, trained_until from fct_prediction where trained_until is not null"
    )
    assert {row["prediction_id"]: row["is_scored"] for row in rows} == {
        "learned from it": False,
        "learned before": True,
    }


def test_a_forecast_has_the_outcome_of_its_own_cycle(marts: Any) -> None:
    row = marts.row("select * from fct_prediction where prediction_id = 'of another cycle'")
    assert (row["cycle_id"], row["is_closed"], row["is_scored"]) == ("running", False, False)


def test_forecasts_of_any_model_are_scored_with_their_arm_and_shadows_are_not_served(marts: Any) -> None:
    row = marts.row("select * from fct_prediction where prediction_id = 'v2 of done'")
    assert (row["key_result_id"], row["probability"], row["low"], row["high"]) == ("done", 0.25, 0.1, 0.8)
    assert (row["experiment"], row["arm"], row["role"], row["model_version"]) == ("second", "new", "challenger", "2")
    assert (row["is_scored"], row["brier_score"]) == (True, 0.5625)
    names = {row["prediction_id"] for row in marts.rows("select prediction_id from fct_prediction")}
    assert not names & {"shadow", "another shape", "of features"}


def test_the_calibration_of_an_arm_counts_each_key_result_once(marts: Any) -> None:
    query = read_sql("serving.experiments", "queries/calibration").replace("marts.", "")
    assert marts.rows(query.replace("%(experiment)s", "%s"), "second") == [
        {"arm": "new", "key_results": 1, "mean_probability": 0.25, "achieved_share": 1.0}
    ]


def test_forecasts_of_open_and_unknown_key_results_appear_once(marts: Any) -> None:
    rows = marts.rows("select * from fct_prediction where key_result_id <> 'done' order by key_result_id")
    assert [(row["key_result_id"], row["is_key_result_known"]) for row in rows] == [
        ("open", True),
        ("unknown", False),
    ]
    assert rows[0]["probability"] == 0.75
    assert rows[0]["reasons"] == ["pace of the last weeks", "time left"]
