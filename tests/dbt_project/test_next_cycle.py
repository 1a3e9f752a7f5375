"""Key results that are carried over to the next cycle: where they and their check-ins count, and what closes them."""

from datetime import date
from typing import Any

from tests.dbt_project.organisation import Q3, Q4, moment


def test_a_forecast_uses_only_the_check_ins_of_its_own_cycle(story_marts: Any) -> None:
    query = "select key_result_id, cycle_id, value, check_ins from ml_build.key_result_features "
    query += "where as_of_kind = 'current'"
    current = {row.pop("key_result_id"): row for row in story_marts.rows(query)}
    assert current["carried-k1"] == {"cycle_id": "carried-q4", "value": 14.0, "check_ins": 2}
    assert current["carried-unclosed"] == {"cycle_id": "carried-q4", "value": 0.0, "check_ins": 0}


def test_a_key_result_carried_into_the_next_cycle_keeps_its_outcome_and_is_open_again(story_marts: Any) -> None:
    past, present = story_marts.scorecard("carried-k1")
    assert (past["cycle_id"], past["status"], past["final_score"]) == ("carried-q3", "achieved", 0.8)
    assert (past["baseline"], past["target"], past["check_in_count"]) == (0.0, 10.0, 2)
    assert (past["is_current_cycle"], past["ended_at"]) == (False, moment(10, 3))
    assert (present["cycle_id"], present["is_closed"], present["progress_ratio"]) == ("carried-q4", False, 0.5)
    assert (present["title"], present["status"], present["opened_at"]) == ("carried over", "on_track", moment(10, 3))
    assert story_marts.row("select attainment_ratio from mart_team_scorecard where cycle_id = 'carried-q3'") == {
        "attainment_ratio": 0.8
    }
    days = story_marts.rows(
        "select cycle_id, min(day), max(day) from fct_key_result_daily where key_result_id = 'carried-k1' group by 1"
    )
    assert sorted((row["cycle_id"], row["min"], row["max"]) for row in days) == [
        ("carried-q3", *Q3),
        ("carried-q4", date(2026, 10, 3), date(2026, 11, 24)),
    ]


def test_a_file_that_carries_a_key_result_on_closes_it_in_the_previous_cycle(story_marts: Any) -> None:
    past, present = story_marts.scorecard("imported-k1")
    assert (past["cycle_id"], past["status"], past["final_score"]) == ("imported/q3", "achieved", 0.8)
    assert (past["baseline"], past["target"], past["check_in_count"]) == (10.0, 20.0, 2)
    assert (present["cycle_id"], present["is_closed"], present["progress_ratio"]) == ("imported/q4", False, 0.25)
    assert (present["title"], present["check_in_count"]) == ("Raise the NPS further", 2)


def test_a_target_set_after_the_closing_changes_no_day_of_the_closed_cycle(story_marts: Any) -> None:
    query = """
        select distinct day >= '2026-09-20' as is_closed_by_then, status, target from fct_key_result_daily
        where key_result_id = 'left-retargeted' and cycle_id = 'left-q3' order by 1, 2
    """
    rows = [(row["is_closed_by_then"], row["status"], row["target"]) for row in story_marts.rows(query)]
    assert rows == [(False, "no_check_in", 10.0), (True, "achieved", 10.0)]
    assert story_marts.statuses("left")["retargeted"][0] == "achieved"


def test_a_check_in_recorded_after_the_move_has_no_feature_row_in_the_new_cycle(story_marts: Any) -> None:
    query = """
        select as_of_kind, cycle_id, value, check_ins from ml_build.key_result_features
        where key_result_id = 'left-heard-late' order by as_of
    """
    rows = [(row["as_of_kind"], row["cycle_id"], row["value"], row["check_ins"]) for row in story_marts.rows(query)]
    assert rows == [("check_in", "left-q4", 6.0, 1), ("current", "left-q4", 6.0, 1)]


def test_an_open_key_result_awaits_closing_in_the_cycle_that_it_was_in_at_its_end(story_marts: Any) -> None:
    past, present = story_marts.scorecard("carried-unclosed")
    assert (past["status"], past["latest_value"]) == ("awaiting_close", 5.0)
    assert (present["status"], present["latest_value"]) == ("no_check_in", None)


def test_a_key_result_only_planned_in_a_cycle_counts_in_the_cycle_it_moved_to(story_marts: Any) -> None:
    (row,) = story_marts.scorecard("carried-mistaken")
    assert (row["cycle_id"], row["latest_value"], row["check_in_count"]) == ("carried-q4", 5.0, 1)


def test_a_key_result_planned_ahead_stays_in_its_cycle_until_the_end(story_marts: Any) -> None:
    days = story_marts.rows(
        "select cycle_id, min(day), max(day), count(*)::int as n from fct_key_result_daily "
        "where key_result_id = 'planned-early' group by 1"
    )
    assert sorted(tuple(row.values()) for row in days) == [
        ("planned-q3", *Q3, 92),
        ("planned-q4", Q4[0], date(2026, 11, 24), 55),
    ]
    past, present = story_marts.scorecard("planned-early")
    assert (past["baseline"], past["target"], past["check_in_count"]) == (0.0, 10.0, 3)
    assert (present["baseline"], present["progress_ratio"], present["check_in_count"]) == (8.0, 0.5, 1)
    assert past["ended_at"] == present["opened_at"] == moment(10, 1, 0)


def test_a_closing_check_in_soon_after_the_end_closes_the_cycle_that_was_left(story_marts: Any) -> None:
    rows = story_marts.rows(
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
        ("reported", "q3"): ("achieved", 8.0), ("reported", "q4"): ("no_check_in", None),
    }  # fmt: skip
    assert found["early", "q3"]["final_score"] == 0.9
    outcomes = story_marts.rows(
        "select cycle_id, final_score from ml_build.key_result_outcome where key_result_id = 'planned-early'"
    )
    assert outcomes == [{"cycle_id": "planned-q3", "final_score": 0.9}]


def test_a_check_in_is_in_the_cycle_of_its_day_and_counts_where_it_closes(story_marts: Any) -> None:
    other = story_marts.rows(
        "select * from fct_check_in as check_in inner join fct_key_result_daily as daily "
        "on check_in.key_result_id = daily.key_result_id and check_in.checked_in_on = daily.day "
        "where check_in.cycle_id <> daily.cycle_id"
    )
    assert other == []
    rows = story_marts.rows(
        "select cycle_id, counted_cycle_id, progress_ratio from fct_check_in where key_result_id = 'planned-early' "
        "order by checked_in_at"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("planned-q3", "planned-q3", 0.4), ("planned-q3", "planned-q3", 0.8), ("planned-q4", "planned-q3", 0.9),
        ("planned-q4", "planned-q4", 0.5),
    ]  # fmt: skip


def test_a_key_result_planned_ahead_has_its_features_in_its_own_cycle(story_marts: Any) -> None:
    rows = story_marts.rows(
        "select cycle_id, as_of::date, value from ml_build.key_result_features where key_result_id = 'planned-early' "
        "order by as_of"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("planned-q3", date(2026, 8, 10), 4.0), ("planned-q4", date(2026, 11, 20), 14.0),
        ("planned-q4", date(2026, 11, 24), 14.0),
    ]  # fmt: skip


def test_a_check_in_after_the_cycle_was_closed_closes_it_there_so_that_the_next_closing_is_the_new_cycles(
    story_marts: Any,
) -> None:
    """Only final check-ins were considered: the final value of the new cycle overwrote the outcome of the old one."""
    rows = story_marts.rows(
        "select key_result_id, cycle_id, final_value from mart_okr_scorecard where key_result_id like 'settled-%%'"
    )
    found = {(row["key_result_id"].split("-")[1], row["cycle_id"][-2:]): row["final_value"] for row in rows}
    assert found == {
        ("reported", "q3"): 5.0, ("reported", "q4"): 9.0,
        ("silent", "q3"): 9.0, ("silent", "q4"): None,
        ("archived", "q3"): 9.0, ("archived", "q4"): None,  # a closing check-in while it was archived closes nothing
    }  # fmt: skip
