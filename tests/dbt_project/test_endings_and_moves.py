"""What ended, moved or came twice at one moment: the marts and the primary database say the same of the stories."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from lakehouse.warehouse import connect
from tests.dbt_project.state import apply_log, assert_state_says_what_marts_say
from tests.dbt_project.stories import Q3, Q4, imported, moment, tell_all


@pytest.fixture(scope="module")
def log(new_log: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    log = new_log()
    tell_all(log)
    imported(log, tmp_path_factory.mktemp("imported"))
    return log


@pytest.fixture(scope="module")
def marts(dbt: Any, log: Any) -> Any:
    log.load(dbt.settings)
    dbt.run("build", "--exclude-resource-type=unit_test")
    return dbt


def _scorecard(marts: Any, key_result_id: str) -> list[dict[str, Any]]:
    query = "select * from mart_okr_scorecard where key_result_id = %s order by opened_at, cycle_id"
    return list(marts.rows(query, key_result_id))


def _statuses(marts: Any, name: str) -> dict[str, list[str]]:
    rows = marts.rows(
        "select key_result_id, status from mart_okr_scorecard where key_result_id like %s order by 1, opened_at",
        f"{name}-%",
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["key_result_id"].removeprefix(f"{name}-"), []).append(row["status"])
    return found


def test_archived_key_results_are_findable_and_count_nowhere(marts: Any) -> None:
    assert _statuses(marts, "archived") == {
        "k1": ["on_track"], "k2": ["archived"], "k3": ["archived"], "k4": ["on_track"], "k5": ["achieved"],
        "k6": ["archived"],
    }  # fmt: skip
    found = {row["key_result_id"]: row for row in marts.rows("select * from mart_okr_scorecard where is_archived")}
    assert (found["archived-k2"]["archived_reason"], found["archived-k3"]["archived_reason"]) == (
        "key_result",
        "objective",
    )
    assert found["archived-k2"]["status_since"] == date(2026, 11, 20)
    assert marts.row("select archived_note from dim_key_result where key_result_id = 'archived-k2'") == {
        "archived_note": "entered by mistake"
    }
    team = marts.row("select * from mart_team_scorecard where team_id = 'archived-a'")
    assert (team["key_result_count"], team["on_track_count"], team["closed_count"]) == (3, 2, 1)
    assert team["score_to_date_ratio"] == pytest.approx(0.8)
    assert team["attainment_ratio"] == pytest.approx(0.8)


def test_days_before_archiving_stay_and_days_after_it_have_no_row(marts: Any) -> None:
    days = "select min(day), max(day), count(*)::int as n from fct_key_result_daily where key_result_id = %s"
    assert marts.row(days, "archived-k2") == {"min": date(2026, 10, 1), "max": date(2026, 11, 19), "n": 50}
    assert marts.row(days, "archived-k4")["n"] == 55 - 3  # revived after three days
    assert marts.row(days, "archived-k1")["n"] == 55


def test_what_is_archived_has_no_forecast_and_teaches_nothing(marts: Any) -> None:
    rows = marts.rows("select key_result_id from ml_build.key_result_features where as_of_kind = 'current'")
    current = {row["key_result_id"] for row in rows}
    assert {"archived-k1", "archived-k4", "carried-k1"} <= current
    assert not {"archived-k2", "archived-k3", "archived-k5", "dissolved-k-c", "closed-unclosed"} & current
    outcomes = marts.rows(
        "select key_result_id from ml_build.key_result_outcome where key_result_id like 'archived-%%'"
    )
    assert outcomes == [{"key_result_id": "archived-k5"}]


def test_a_forecast_rests_on_the_check_ins_of_its_own_cycle(marts: Any) -> None:
    query = "select key_result_id, cycle_id, value, check_ins from ml_build.key_result_features "
    query += "where as_of_kind = 'current'"
    current = {row.pop("key_result_id"): row for row in marts.rows(query)}
    assert current["carried-k1"] == {"cycle_id": "carried-q4", "value": 14.0, "check_ins": 2}
    assert current["carried-unclosed"] == {"cycle_id": "carried-q4", "value": 0.0, "check_ins": 0}


def test_a_key_result_carried_into_the_next_cycle_keeps_its_outcome_and_is_open_again(marts: Any) -> None:
    past, present = _scorecard(marts, "carried-k1")
    assert (past["cycle_id"], past["status"], past["final_score"]) == ("carried-q3", "achieved", 0.8)
    assert (past["baseline"], past["target"], past["check_in_count"]) == (0.0, 10.0, 2)
    assert (past["is_current_cycle"], past["ended_at"]) == (False, moment(10, 3))
    assert (present["cycle_id"], present["is_closed"], present["progress_ratio"]) == ("carried-q4", False, 0.5)
    assert (present["title"], present["status"], present["opened_at"]) == ("carried over", "on_track", moment(10, 3))
    assert marts.row("select attainment_ratio from mart_team_scorecard where cycle_id = 'carried-q3'") == {
        "attainment_ratio": 0.8
    }
    days = marts.rows(
        "select cycle_id, min(day), max(day) from fct_key_result_daily where key_result_id = 'carried-k1' group by 1"
    )
    assert sorted((row["cycle_id"], row["min"], row["max"]) for row in days) == [
        ("carried-q3", *Q3),
        ("carried-q4", date(2026, 10, 3), date(2026, 11, 24)),
    ]


def test_a_file_that_carries_a_key_result_on_closes_it_in_the_cycle_before(marts: Any) -> None:
    past, present = _scorecard(marts, "imported-k1")
    assert (past["cycle_id"], past["status"], past["final_score"]) == ("imported/q3", "achieved", 0.8)
    assert (past["baseline"], past["target"], past["check_in_count"]) == (10.0, 20.0, 2)
    assert (present["cycle_id"], present["is_closed"], present["progress_ratio"]) == ("imported/q4", False, 0.25)
    assert (present["title"], present["check_in_count"]) == ("Raise the NPS further", 2)


def test_a_target_set_after_the_closing_changes_no_day_of_the_closed_cycle(marts: Any) -> None:
    query = """
        select distinct day >= '2026-09-20' as is_closed_by_then, status, target from fct_key_result_daily
        where key_result_id = 'left-retargeted' and cycle_id = 'left-q3' order by 1, 2
    """
    rows = [(row["is_closed_by_then"], row["status"], row["target"]) for row in marts.rows(query)]
    assert rows == [(False, "no_check_in", 10.0), (True, "achieved", 10.0)]
    assert _statuses(marts, "left")["retargeted"][0] == "achieved"


def test_a_check_in_recorded_after_the_move_is_no_moment_of_the_new_cycle(marts: Any) -> None:
    query = """
        select as_of_kind, cycle_id, value, check_ins from ml_build.key_result_features
        where key_result_id = 'left-heard-late' order by as_of
    """
    rows = [(row["as_of_kind"], row["cycle_id"], row["value"], row["check_ins"]) for row in marts.rows(query)]
    assert rows == [("check_in", "left-q4", 6.0, 1), ("current", "left-q4", 6.0, 1)]


def test_an_unclosed_key_result_awaits_its_closing_in_the_cycle_that_it_was_in_at_the_end(marts: Any) -> None:
    past, present = _scorecard(marts, "carried-unclosed")
    assert (past["status"], past["latest_value"]) == ("awaiting_close", 5.0)
    assert (present["status"], present["latest_value"]) == ("no_check_in", None)


def test_what_was_planned_in_one_cycle_and_done_in_another_counts_in_the_other(marts: Any) -> None:
    (row,) = _scorecard(marts, "carried-mistaken")
    assert (row["cycle_id"], row["latest_value"], row["check_in_count"]) == ("carried-q4", 5.0, 1)


def test_a_key_result_that_is_planned_on_before_its_cycle_ends_stays_in_it_until_then(marts: Any) -> None:
    days = marts.rows(
        "select cycle_id, min(day), max(day), count(*)::int as n from fct_key_result_daily "
        "where key_result_id = 'planned-early' group by 1"
    )
    assert sorted(tuple(row.values()) for row in days) == [
        ("planned-q3", *Q3, 92),
        ("planned-q4", Q4[0], date(2026, 11, 24), 55),
    ]
    past, present = _scorecard(marts, "planned-early")
    assert (past["baseline"], past["target"], past["check_in_count"]) == (0.0, 10.0, 3)
    assert (present["baseline"], present["progress_ratio"], present["check_in_count"]) == (8.0, 0.5, 1)
    assert past["ended_at"] == present["opened_at"] == moment(10, 1, 0)


def test_a_closing_check_in_soon_after_the_end_closes_the_cycle_that_was_left(marts: Any) -> None:
    rows = marts.rows(
        "select key_result_id, cycle_id, status, final_value, final_score from mart_okr_scorecard "
        "where key_result_id like 'planned-%%' or key_result_id like 'agreed-%%' order by 1, 2"
    )
    found = {(row["key_result_id"].split("-", 1)[1], row["cycle_id"][-2:]): row for row in rows}
    outcomes = {place: (row["status"], row["final_value"]) for place, row in found.items()}
    assert outcomes == {
        ("early", "q3"): ("achieved", 9.0), ("early", "q4"): ("on_track", None),
        ("after", "q3"): ("achieved", 8.5), ("after", "q4"): ("on_track", None),
        ("closed", "q3"): ("achieved", 8.0), ("closed", "q4"): ("on_track", None),
        ("twice", "q3"): ("achieved", 9.0), ("twice", "q4"): ("achieved", 20.0),
        ("too-late", "q3"): ("awaiting_close", None), ("too-late", "q4"): ("achieved", 20.0),
        ("given-up", "q3"): ("archived", None), ("given-up", "q4"): ("archived", None),
        ("of-own", "q3"): ("achieved", 9.0), ("of-own", "q4"): ("no_check_in", None),
        ("silent", "q3"): ("missed", 4.0), ("silent", "q4"): ("no_check_in", None),
        ("told", "q3"): ("achieved", 8.0), ("told", "q4"): ("no_check_in", None),
    }  # fmt: skip
    assert found["early", "q3"]["final_score"] == 0.9
    outcomes = marts.rows(
        "select cycle_id, final_score from ml_build.key_result_outcome where key_result_id = 'planned-early'"
    )
    assert outcomes == [{"cycle_id": "planned-q3", "final_score": 0.9}]


def test_a_check_in_is_in_the_cycle_of_its_day_and_counts_where_it_closes(marts: Any) -> None:
    other = marts.rows(
        "select * from fct_check_in as check_in inner join fct_key_result_daily as daily "
        "on check_in.key_result_id = daily.key_result_id and check_in.checked_in_on = daily.day "
        "where check_in.cycle_id <> daily.cycle_id"
    )
    assert other == []
    rows = marts.rows(
        "select cycle_id, counted_cycle_id, progress_ratio from fct_check_in where key_result_id = 'planned-early' "
        "order by checked_in_at"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("planned-q3", "planned-q3", 0.4), ("planned-q3", "planned-q3", 0.8), ("planned-q4", "planned-q3", 0.9),
        ("planned-q4", "planned-q4", 0.5),
    ]  # fmt: skip


def test_what_is_planned_on_early_teaches_by_its_own_cycle(marts: Any) -> None:
    rows = marts.rows(
        "select cycle_id, as_of::date, value from ml_build.key_result_features where key_result_id = 'planned-early' "
        "order by as_of"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("planned-q3", date(2026, 8, 10), 4.0), ("planned-q4", date(2026, 11, 20), 14.0),
        ("planned-q4", date(2026, 11, 24), 14.0),
    ]  # fmt: skip


def test_days_and_weeks_belong_to_the_team_that_held_them(marts: Any) -> None:
    rows = marts.rows(
        "select team_id, team_name, min(day), max(day) from fct_key_result_daily where key_result_id = 'moved-k1' "
        "group by 1, 2 order by 3"
    )
    assert [(row["team_id"], row["team_name"], row["min"], row["max"]) for row in rows] == [
        ("moved-a", "moved team a", date(2026, 10, 1), date(2026, 10, 19)),
        ("moved-a", "renamed", date(2026, 10, 20), date(2026, 11, 1)),
        ("moved-b", "moved team b", date(2026, 11, 2), date(2026, 11, 24)),
    ]
    weeks = marts.rows(
        "select team_id, team_name, min(week_start), max(week_start), sum(check_in_count)::int as n "
        "from mart_checkin_hygiene where team_id like 'moved-%%' group by 1, 2 order by 3"
    )
    assert [(w["team_id"], w["team_name"], w["min"], w["max"], w["n"]) for w in weeks] == [
        ("moved-a", "moved team a", date(2026, 9, 28), date(2026, 10, 12), 2),
        ("moved-a", "renamed", date(2026, 10, 19), date(2026, 10, 26), 2),
        ("moved-b", "moved team b", date(2026, 11, 2), date(2026, 11, 23), 4),
    ]
    check_ins = marts.rows(
        "select distinct team_id from fct_check_in where checked_in_on < '2026-11-02' and user_id = 'moved-ada'"
    )
    assert check_ins == [{"team_id": "moved-a"}]
    activity = marts.rows(
        "select team_id, max(day) from fct_user_activity_daily where user_id = 'moved-ada' group by 1"
    )
    assert {row["team_id"]: row["max"] for row in activity} == {
        "moved-a": date(2026, 10, 27),
        "moved-b": date(2026, 11, 24),
    }


def test_a_dissolved_team_hands_on_what_is_open_and_keeps_what_it_closed(marts: Any) -> None:
    rows = marts.rows(
        "select key_result_id, team_id, status from mart_okr_scorecard where key_result_id like 'dissolved-%%'"
    )
    assert {row["key_result_id"].removeprefix("dissolved-"): (row["team_id"], row["status"]) for row in rows} == {
        "k-a": ("dissolved-b", "no_check_in"),
        "k-b": ("dissolved-b", "no_check_in"),
        "k-c": ("dissolved-c", "archived"),
        "past": ("dissolved-a", "achieved"),
    }
    assert marts.row("select archived_reason from mart_okr_scorecard where key_result_id = 'dissolved-k-c'") == {
        "archived_reason": "team"
    }
    october = (
        "select distinct team_id from fct_key_result_daily where key_result_id = 'dissolved-k-a' and day < '2026-11-01'"
    )
    assert marts.rows(october) == [{"team_id": "dissolved-a"}]
    team = marts.row("select archived_at, successor_team_id from dim_team where team_id = 'dissolved-a'")
    assert team == {"archived_at": moment(11, 1), "successor_team_id": "dissolved-b"}


def test_a_deactivated_user_is_marked_and_what_they_did_stays(marts: Any) -> None:
    assert marts.row("select deactivated_at from dim_user where user_id = 'gone'") == {"deactivated_at": moment(11, 6)}
    assert marts.row("select team_id, page_view_count from fct_user_activity_daily where user_id = 'gone'") == {
        "team_id": "dissolved-b",
        "page_view_count": 1,
    }


def test_a_closed_cycle_closes_what_is_in_it_and_later_check_ins_correct_it(marts: Any) -> None:
    rows = marts.rows("select * from mart_okr_scorecard where key_result_id like 'closed-%%'")
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
    known = marts.row("select known_at from ml_build.key_result_outcome where key_result_id = 'closed-late'")
    assert known == {"known_at": moment(10, 20)}
    assert marts.row("select closed_at from dim_cycle where cycle_id = 'closed-q3'") == {"closed_at": moment(10, 10)}


def test_of_two_definitions_of_one_moment_the_one_that_was_logged_later_holds(marts: Any) -> None:
    (row,) = _scorecard(marts, "tied-k1")
    assert (row["target"], row["progress_ratio"]) == (30.0, 0.5)
    days = marts.rows("select distinct target from fct_key_result_daily where key_result_id = 'tied-k1'")
    assert days == [{"target": 30.0}]


def test_a_weight_that_is_left_out_is_one(marts: Any) -> None:
    team = marts.row("select * from mart_team_scorecard where team_id = 'weighed-a'")
    assert team["attainment_ratio"] == 0.5


def test_a_team_without_check_ins_has_achieved_nothing_so_far_and_expects_nothing(marts: Any) -> None:
    team = marts.row("select * from mart_team_scorecard where team_id = 'weighed-b'")
    assert (team["score_to_date_ratio"], team["attainment_ratio"], team["no_check_in_count"]) == (0.0, None, 1)


def test_teams_of_one_name_have_labels_of_their_own(marts: Any) -> None:
    rows = marts.rows("select team_label from dim_team where name = 'weighed team b' order by 1")
    assert [row["team_label"] for row in rows] == ["weighed team b (weighed-b)", "weighed team b (weighed-c)"]
    labels = marts.row("select count(*) = count(distinct team_label) as ok from dim_team where is_current")
    assert labels == {"ok": True}
    assert marts.row("select team_label from mart_team_scorecard where team_id = 'weighed-b'") == {
        "team_label": "weighed team b (weighed-b)"
    }


def test_the_primary_database_says_the_same_of_every_key_result_and_cycle(marts: Any, log: Any) -> None:
    with connect(marts.settings.require("dsn_loader"), autocommit=True) as loader:
        store = apply_log(loader, log.events)
        assert_state_says_what_marts_say(loader, marts)
        okrs = dict(loader.execute("SELECT key_result_id, status FROM app.okrs").fetchall())
        live = store.cycle_progress()
        gone = loader.execute("SELECT deactivated_at FROM app.users WHERE source_user_id = 'gone'").fetchall()
    assert (okrs["archived-k2"], okrs["archived-k3"], okrs["archived-k5"]) == ("archived", "archived", "achieved")
    assert (okrs["carried-k1"], okrs["tied-k1"], okrs["dissolved-k-c"]) == ("in_progress", "in_progress", "archived")
    assert live["carried-q3"] == pytest.approx((0.8 + 0.5) / 2)
    assert live["archived-q4"] == pytest.approx(0.8)
    assert gone == [(moment(11, 6),)]
