"""The marts can process every event that satisfies its contract: none stops the build, and none is lost."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.host_metric import HostMetricSampled
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.page import PageViewed
from lakehouse.contracts.pipeline_step import PipelineStepFinished
from lakehouse.contracts.prediction import PredictionServed
from lakehouse.contracts.team import TeamDefined

START = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST_ID = "🎯" * 128
STRANGE_TITLE = ("<script>alert(1)</script> ' \" ; -- " + "مرحبا " + "🎯" * 2000)[:2000]


def _numbers(log: Any) -> None:
    log.key_result("largest", baseline=-1e15, target=1e15, weight=1000.0)
    log.check_in("largest", 1e15, START + timedelta(days=1), is_final=True)
    log.key_result("steepest", baseline=0.0, target=1e-9)
    for day, value in enumerate((1e15, -1e15, 5e-324, -5e-324, 0.0)):
        log.check_in("steepest", value, START + timedelta(days=day), confidence=5e-324)
    log.key_result("lightest", weight=1e-320)
    log.check_in("lightest", 1e-300, START, is_final=True)
    for value in (1e15, -1e15, 5e-324):
        log.add(HostMetricSampled(host="h", metric="m", value=value, unit="x"), START)


def _texts(log: Any) -> None:
    log.add(TeamDefined(team_id=LONGEST_ID, organisation_id="org", name=STRANGE_TITLE), START)
    objective = ObjectiveDefined(objective_id=LONGEST_ID, team_id=LONGEST_ID, cycle_id="running", title=STRANGE_TITLE)
    log.add(objective, START)
    log.key_result(LONGEST_ID, objective_id=LONGEST_ID, title=STRANGE_TITLE, owner_user_id=LONGEST_ID)
    log.check_in(LONGEST_ID, 1.0, START, check_in_id=LONGEST_ID, note="🎯" * 10_000, user_id=LONGEST_ID)
    log.key_result("untitled", title="")
    log.add(PageViewed(user_id=LONGEST_ID, page=LONGEST_ID, key_result_id=LONGEST_ID), START)


def _times(log: Any) -> None:
    last = CycleDefined(
        cycle_id="last", organisation_id="org", name="", starts_on=date(2198, 1, 1), ends_on=date(2200, 1, 1)
    )
    first = CycleDefined(
        cycle_id="first", organisation_id="org", name="", starts_on=date(1990, 1, 1), ends_on=date(1992, 1, 1)
    )
    for cycle in (last, first):
        log.add(cycle, START)
        objective = ObjectiveDefined(
            objective_id=f"objective-{cycle.cycle_id}", team_id="team", cycle_id=cycle.cycle_id, title=""
        )
        log.add(objective, START)
        log.key_result(cycle.cycle_id, cycle.cycle_id)
        log.check_in(cycle.cycle_id, 1.0, datetime(1970, 1, 1, tzinfo=UTC), log={"logged_at": START})
    log.check_in("largest", 5.0, datetime(1970, 1, 1, tzinfo=UTC), log={"logged_at": START})


def _predictions_and_steps(log: Any) -> None:
    prediction = PredictionServed(
        prediction_id="p", key_result_id="largest", as_of=START, probability=5e-324, low=0.0, high=5e-324,
        model_name="m", model_version="1", role="pacing_rule", publication_id=1,
    )  # fmt: skip
    log.add(prediction, START, publication_id=1e30, as_of="2026-01-01T00:00:00+20:00")
    step = PipelineStepFinished(
        pipeline="p", step="s", run_id="r", state="success", started_at=START, finished_at=START - timedelta(days=1)
    )
    log.add(step, START, rows=12.0)


def test_extreme_events_of_every_kind_are_all_in_the_marts(dbt: Any, new_log: Any) -> None:
    log = new_log()
    log.organisation()
    for part in (_numbers, _texts, _times, _predictions_and_steps):
        part(log)
    log.load(dbt.settings)
    dbt.build()
    assert dbt.row("select count(*) as n from mart_okr_scorecard")["n"] == 7
    assert dbt.row("select count(*) as n from fct_check_in")["n"] == 11
    steepest = dbt.row("select progress_ratio, status from mart_okr_scorecard where key_result_id = 'steepest'")
    assert steepest == {"progress_ratio": 0.0, "status": "off_track"}
    assert dbt.row("select max(progress_ratio) as p from fct_check_in")["p"] == pytest.approx(1e24)
    named = dbt.row("select title, team_name from mart_okr_scorecard where key_result_id = %s", LONGEST_ID)
    assert named == {"title": STRANGE_TITLE, "team_name": STRANGE_TITLE}
    forecast = dbt.row("select as_of, publication_id, probability from fct_prediction")
    assert forecast == {"as_of": None, "publication_id": None, "probability": 0.0}
    assert dbt.row("select duration_s from fct_pipeline_run")["duration_s"] == 0.0


def test_an_empty_log_gives_empty_marts(dbt: Any, new_log: Any) -> None:
    new_log().load(dbt.settings)
    dbt.build()
    assert dbt.row("select * from int_data_as_of") == {"data_as_of": None}
    assert {mart: dbt.row(f"select count(*) as n from {mart}")["n"] for mart in dbt.marts()} == dict.fromkeys(
        dbt.marts(), 0
    )
