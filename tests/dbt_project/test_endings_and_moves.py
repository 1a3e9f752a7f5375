"""Endings, moves and simultaneous events: the marts and the state tables agree on the stories."""

from datetime import date
from typing import Any

import pytest

from lakehouse.warehouse import connect
from tests.dbt_project.organisation import moment
from tests.dbt_project.state_tables import apply_log, assert_state_says_what_marts_say


def test_archived_key_results_are_listed_and_excluded_from_all_figures(story_marts: Any) -> None:
    assert story_marts.statuses("archived") == {
        "k1": ["on_track"], "k2": ["archived"], "k3": ["archived"], "k4": ["on_track"], "k5": ["achieved"],
        "k6": ["archived"],
    }  # fmt: skip
    found = {
        row["key_result_id"]: row for row in story_marts.rows("select * from mart_okr_scorecard where is_archived")
    }
    assert (found["archived-k2"]["archived_reason"], found["archived-k3"]["archived_reason"]) == (
        "key_result",
        "objective",
    )
    assert found["archived-k2"]["status_since"] == date(2026, 11, 20)
    assert story_marts.row("select archived_note from dim_key_result where key_result_id = 'archived-k2'") == {
        "archived_note": "entered by mistake"
    }
    team = story_marts.row("select * from mart_team_scorecard where team_id = 'archived-a'")
    assert (team["key_result_count"], team["on_track_count"], team["closed_count"]) == (3, 2, 1)
    assert team["score_to_date_ratio"] == pytest.approx(0.8)
    assert team["attainment_ratio"] == pytest.approx(0.8)


def test_days_before_archiving_stay_and_later_days_have_no_row(story_marts: Any) -> None:
    days = "select min(day), max(day), count(*)::int as n from fct_key_result_daily where key_result_id = %s"
    assert story_marts.row(days, "archived-k2") == {"min": date(2026, 10, 1), "max": date(2026, 11, 19), "n": 50}
    assert story_marts.row(days, "archived-k4")["n"] == 55 - 3  # revived after three days
    assert story_marts.row(days, "archived-k1")["n"] == 55


def test_an_archived_key_result_has_no_forecast_and_no_outcome(story_marts: Any) -> None:
    rows = story_marts.rows("select key_result_id from ml_build.key_result_features where as_of_kind = 'current'")
    current = {row["key_result_id"] for row in rows}
    assert {"archived-k1", "archived-k4", "carried-k1"} <= current
    assert not {"archived-k2", "archived-k3", "archived-k5", "dissolved-k-c", "closed-unclosed"} & current
    outcomes = story_marts.rows(
        "select key_result_id from ml_build.key_result_outcome where key_result_id like 'archived-%%'"
    )
    assert outcomes == [{"key_result_id": "archived-k5"}]


def test_days_and_weeks_belong_to_the_team_at_the_time(story_marts: Any) -> None:
    rows = story_marts.rows(
        "select team_id, team_name, min(day), max(day) from fct_key_result_daily where key_result_id = 'moved-k1' "
        "group by 1, 2 order by 3"
    )
    assert [(row["team_id"], row["team_name"], row["min"], row["max"]) for row in rows] == [
        ("moved-a", "moved team a", date(2026, 10, 1), date(2026, 10, 19)),
        ("moved-a", "renamed", date(2026, 10, 20), date(2026, 11, 1)),
        ("moved-b", "moved team b", date(2026, 11, 2), date(2026, 11, 24)),
    ]
    weeks = story_marts.rows(
        "select team_id, team_name, min(week_start), max(week_start), sum(check_in_count)::int as n "
        "from mart_checkin_hygiene where team_id like 'moved-%%' group by 1, 2 order by 3"
    )
    assert [(w["team_id"], w["team_name"], w["min"], w["max"], w["n"]) for w in weeks] == [
        ("moved-a", "moved team a", date(2026, 9, 28), date(2026, 10, 12), 2),
        ("moved-a", "renamed", date(2026, 10, 19), date(2026, 10, 26), 2),
        ("moved-b", "moved team b", date(2026, 11, 2), date(2026, 11, 23), 4),
    ]
    check_ins = story_marts.rows(
        "select distinct team_id from fct_check_in where checked_in_on < '2026-11-02' and user_id = 'moved-ada'"
    )
    assert check_ins == [{"team_id": "moved-a"}]
    activity = story_marts.rows(
        "select team_id, max(day) from fct_user_activity_daily where user_id = 'moved-ada' group by 1"
    )
    assert {row["team_id"]: row["max"] for row in activity} == {
        "moved-a": date(2026, 10, 27),
        "moved-b": date(2026, 11, 24),
    }


def test_a_dissolved_team_hands_over_open_key_results_and_keeps_closed_ones(story_marts: Any) -> None:
    rows = story_marts.rows(
        "select key_result_id, team_id, status from mart_okr_scorecard where key_result_id like 'dissolved-%%'"
    )
    assert {row["key_result_id"].removeprefix("dissolved-"): (row["team_id"], row["status"]) for row in rows} == {
        "k-a": ("dissolved-b", "no_check_in"),
        "k-b": ("dissolved-b", "no_check_in"),
        "k-c": ("dissolved-c", "archived"),
        "past": ("dissolved-a", "achieved"),
    }
    assert story_marts.row("select archived_reason from mart_okr_scorecard where key_result_id = 'dissolved-k-c'") == {
        "archived_reason": "team"
    }
    october = (
        "select distinct team_id from fct_key_result_daily where key_result_id = 'dissolved-k-a' and day < '2026-11-01'"
    )
    assert story_marts.rows(october) == [{"team_id": "dissolved-a"}]
    team = story_marts.row("select archived_at, successor_team_id from dim_team where team_id = 'dissolved-a'")
    assert team == {"archived_at": moment(11, 1), "successor_team_id": "dissolved-b"}


def test_a_deactivated_user_is_marked_and_their_activity_stays(story_marts: Any) -> None:
    assert story_marts.row("select deactivated_at from dim_user where user_id = 'gone'") == {
        "deactivated_at": moment(11, 6)
    }
    assert story_marts.row("select team_id, page_view_count from fct_user_activity_daily where user_id = 'gone'") == {
        "team_id": "dissolved-b",
        "page_view_count": 1,
    }


def test_a_closed_cycle_closes_its_key_results_and_later_check_ins_are_corrections(story_marts: Any) -> None:
    rows = story_marts.rows("select * from mart_okr_scorecard where key_result_id like 'closed-%%'")
    found = {row["key_result_id"].removeprefix("closed-"): row for row in rows}
    assert {name: (row["status"], row["final_value"]) for name, row in found.items()} == {
        "unclosed": ("achieved", 8.0),
        "silent": ("missed", 0.0),
        "final": ("achieved", 9.0),
        "corrected": ("achieved", 7.5),
        "late": ("achieved", 8.0),
    }
    assert found["unclosed"]["final_at"] == moment(10, 10)
    assert found["corrected"]["final_at"] == moment(10, 12)
    known = story_marts.row("select known_at from ml_build.key_result_outcome where key_result_id = 'closed-late'")
    assert known == {"known_at": moment(10, 20)}
    assert story_marts.row("select closed_at from dim_cycle where cycle_id = 'closed-q3'") == {
        "closed_at": moment(10, 10)
    }


def test_of_two_definitions_with_the_same_time_the_one_logged_later_is_valid(story_marts: Any) -> None:
    (row,) = story_marts.scorecard("tied-k1")
    assert (row["target"], row["progress_ratio"]) == (30.0, 0.5)
    days = story_marts.rows("select distinct target from fct_key_result_daily where key_result_id = 'tied-k1'")
    assert days == [{"target": 30.0}]


def test_an_omitted_weight_is_one(story_marts: Any) -> None:
    team = story_marts.row("select * from mart_team_scorecard where team_id = 'weighed-a'")
    assert team["attainment_ratio"] == 0.5


def test_a_team_without_check_ins_has_a_score_to_date_of_zero(story_marts: Any) -> None:
    team = story_marts.row("select * from mart_team_scorecard where team_id = 'weighed-b'")
    assert (team["score_to_date_ratio"], team["attainment_ratio"], team["no_check_in_count"]) == (0.0, None, 1)


def test_teams_with_the_same_name_have_different_labels(story_marts: Any) -> None:
    rows = story_marts.rows("select team_label from dim_team where name = 'weighed team b' order by 1")
    assert [row["team_label"] for row in rows] == ["weighed team b (weighed-b)", "weighed team b (weighed-c)"]
    labels = story_marts.row("select count(*) = count(distinct team_label) as ok from dim_team where is_current")
    assert labels == {"ok": True}
    assert story_marts.row("select team_label from mart_team_scorecard where team_id = 'weighed-b'") == {
        "team_label": "weighed team b (weighed-b)"
    }


def test_the_primary_database_agrees_on_every_key_result_and_cycle(story_marts: Any, story_log: Any) -> None:
    with connect(story_marts.settings.require("dsn_loader"), autocommit=True) as loader:
        store = apply_log(loader, story_log.events)
        assert_state_says_what_marts_say(loader, story_marts)
        okrs = dict(loader.execute("SELECT key_result_id, status FROM app.okrs").fetchall())
        live = store.cycle_progress()
        gone = loader.execute("SELECT deactivated_at FROM app.users WHERE source_user_id = 'gone'").fetchall()
    assert (okrs["archived-k2"], okrs["archived-k3"], okrs["archived-k5"]) == ("archived", "archived", "achieved")
    assert (okrs["carried-k1"], okrs["tied-k1"], okrs["dissolved-k-c"]) == ("in_progress", "in_progress", "archived")
    assert live["carried-q3"] == pytest.approx((0.8 + 0.5) / 2)
    assert live["archived-q4"] == pytest.approx(0.8)
    assert gone == [(moment(11, 6),)]
