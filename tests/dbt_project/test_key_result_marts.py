"""The marts of key results: each test checks one key result of the log below."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.page import PageViewed

AS_OF = datetime(2026, 2, 15, 12, tzinfo=UTC)  # 45 of the running cycle's 89 days have passed


def _at(month: int, day: int, hour: int = 10) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def _log_of_key_results(log: Any) -> None:
    log.organisation()
    log.add(PageViewed(user_id="ada", page="home"), AS_OF - timedelta(minutes=1), logged_at=AS_OF)

    log.key_result("falling", baseline=10.0, target=4.0)
    log.check_in("falling", 7.0, _at(2, 10), confidence=0.6)

    log.key_result("exactly seven tenths", "past", baseline=66.56, target=72.06)
    log.check_in("exactly seven tenths", 70.41, datetime(2025, 12, 31, 17, tzinfo=UTC), is_final=True)
    log.key_result("over-achieved", "past")
    log.check_in("over-achieved", 140.0, datetime(2025, 12, 30, 17, tzinfo=UTC), is_final=True)
    log.key_result("missed", "past", weight=3.0)
    log.check_in("missed", 10.0, datetime(2025, 11, 1, tzinfo=UTC))
    log.check_in("missed", 20.0, datetime(2026, 1, 2, tzinfo=UTC), is_final=True)  # closed after the last day
    log.check_in("missed", 99.0, datetime(2026, 1, 9, tzinfo=UTC))  # too late to count
    log.key_result("never closed", "past")
    log.check_in("never closed", 90.0, datetime(2025, 12, 30, tzinfo=UTC))

    log.key_result("closed early")
    log.check_in("closed early", 50.0, _at(1, 20), is_final=True)
    log.check_in("closed early", 99.0, _at(2, 1))
    log.key_result("closed by mistake")
    mistake = {"check_in_id": "mistake", "log": {"logged_at": _at(1, 21)}}
    log.check_in("closed by mistake", 10.0, _at(1, 20), check_in_id="mistake", is_final=True)
    log.check_in("closed by mistake", 10.0, _at(1, 20), **mistake)

    log.key_result("silent")
    log.key_result("not started", "future")
    log.key_result("lost", objective_id="undefined objective")
    log.check_in("lost", 50.0, _at(1, 10))
    log.add(ObjectiveDefined(objective_id="roaming", team_id="unknown", cycle_id="never", title="?"), _at(1, 1))
    log.key_result("in unknown team and cycle", objective_id="roaming")

    log.key_result("retargeted")
    log.check_in("retargeted", 30.0, _at(1, 10))
    log.key_result("retargeted", at=_at(2, 1), target=60.0)

    log.key_result("slowing")
    log.check_in("slowing", 20.0, _at(1, 10))
    log.key_result("two on one day")
    log.check_in("two on one day", 40.0, _at(2, 1, 18))
    log.check_in("two on one day", 30.0, _at(2, 1, 9))
    log.key_result("recorded late")
    log.check_in("recorded late", 5.0, _at(1, 5), log={"logged_at": _at(2, 14)})
    log.key_result("ahead of its cycle")
    log.check_in("ahead of its cycle", 1.0, datetime(2025, 12, 20, tzinfo=UTC))
    log.check_in("ahead of its cycle", 2.0, datetime(2025, 12, 21, tzinfo=UTC))


@pytest.fixture(scope="module")
def marts(dbt: Any, new_log: Callable[[], Any]) -> Any:
    log = new_log()
    _log_of_key_results(log)
    log.load(dbt.settings)
    dbt.build()
    return dbt


def _scorecard(marts: Any, key_result_id: str) -> dict[str, Any]:
    return marts.row("select * from mart_okr_scorecard where key_result_id = %s", key_result_id)


def _day(marts: Any, key_result_id: str, day: date) -> dict[str, Any]:
    return marts.row("select * from fct_key_result_daily where key_result_id = %s and day = %s", key_result_id, day)


def test_every_key_result_has_one_row_in_the_scorecard(marts: Any) -> None:
    counts = marts.row("select count(*) as n, count(distinct key_result_id) as ids from mart_okr_scorecard")
    assert counts == {"n": 16, "ids": 16}


def test_the_marts_are_as_of_the_newest_recording_in_the_log(marts: Any) -> None:
    assert marts.row("select * from int_data_as_of") == {"data_as_of": AS_OF}
    assert (
        marts.row("select max(day) as day from fct_key_result_daily where cycle_id = 'running'")["day"] == AS_OF.date()
    )


def test_a_falling_metric_makes_progress_and_keeps_pace(marts: Any) -> None:
    row = _scorecard(marts, "falling")
    assert (row["progress_ratio"], row["status"], row["days_since_check_in"]) == (0.5, "on_track", 5)
    assert row["expected_progress_ratio"] == pytest.approx(45 / 89)
    assert row["pace_ratio"] == pytest.approx(0.5 / (45 / 89))
    assert row["latest_confidence"] == 0.6


def test_a_score_at_the_boundary_is_achieved_despite_float_rounding(marts: Any) -> None:
    row = _scorecard(marts, "exactly seven tenths")
    assert row["final_score"] < 0.7
    assert (row["is_achieved"], row["status"], row["status_since"]) == (True, "achieved", date(2025, 12, 31))


def test_over_achievement_is_visible_in_progress_and_has_score_one(marts: Any) -> None:
    row = _scorecard(marts, "over-achieved")
    assert (row["progress_ratio"], row["score_ratio"], row["final_score"]) == (1.4, 1.0, 1.0)


def test_check_ins_after_the_closing_change_nothing(marts: Any) -> None:
    row = _scorecard(marts, "missed")
    assert (row["latest_value"], row["final_value"], row["check_in_count"]) == (20.0, 20.0, 2)
    assert (row["status"], row["status_since"], row["days_since_check_in"]) == ("missed", date(2026, 1, 2), None)


def test_the_days_after_an_early_closing_keep_its_value(marts: Any) -> None:
    assert _day(marts, "closed early", date(2026, 1, 19))["status"] == "no_check_in"
    for day in (date(2026, 1, 20), date(2026, 2, 10)):
        row = _day(marts, "closed early", day)
        assert (row["latest_value"], row["is_closed"], row["status"]) == (50.0, True, "missed")


def test_a_closing_check_in_corrected_to_a_normal_one_leaves_the_key_result_open(marts: Any) -> None:
    row = _scorecard(marts, "closed by mistake")
    assert (row["is_closed"], row["final_value"], row["status"]) == (False, None, "off_track")


def test_key_results_of_an_ended_cycle_await_closing(marts: Any) -> None:
    row = _scorecard(marts, "never closed")
    assert (row["status"], row["status_since"]) == ("awaiting_close", date(2026, 1, 1))
    assert (row["is_achieved"], row["final_score"], row["progress_ratio"]) == (None, None, 0.9)


def test_a_key_result_without_check_ins_has_that_status_since_the_start_of_its_cycle(marts: Any) -> None:
    row = _scorecard(marts, "silent")
    assert (row["status"], row["status_since"], row["check_in_count"]) == ("no_check_in", date(2026, 1, 1), 0)
    assert (row["progress_ratio"], row["pace_ratio"]) == (None, None)
    days = marts.rows("select distinct status, latest_value from fct_key_result_daily where key_result_id = 'silent'")
    assert days == [{"status": "no_check_in", "latest_value": None}]


def test_a_key_result_of_a_future_cycle_is_not_started(marts: Any) -> None:
    assert _scorecard(marts, "not started")["status"] == "not_started"


def test_a_key_result_without_objective_or_cycle_keeps_its_row(marts: Any) -> None:
    lost, roaming = _scorecard(marts, "lost"), _scorecard(marts, "in unknown team and cycle")
    assert (lost["status"], lost["progress_ratio"], lost["team_id"], lost["cycle_id"]) == ("no_cycle", 0.5, None, None)
    assert (roaming["status"], roaming["team_id"], roaming["team_name"]) == ("no_cycle", "unknown", None)
    teams = marts.rows("select team_id, cycle_id, key_result_count from mart_team_scorecard where no_cycle_count > 0")
    assert sorted(map(str, teams)) == sorted(
        map(
            str,
            [
                {"team_id": None, "cycle_id": None, "key_result_count": 1},
                {"team_id": "unknown", "cycle_id": "never", "key_result_count": 1},
            ],
        )
    )


def test_a_day_is_measured_by_the_target_valid_on_that_day(marts: Any) -> None:
    before, after = _day(marts, "retargeted", date(2026, 1, 31)), _day(marts, "retargeted", date(2026, 2, 1))
    assert (before["target"], before["progress_ratio"]) == (100.0, 0.3)
    assert (after["target"], after["progress_ratio"]) == (60.0, 0.5)
    assert _scorecard(marts, "retargeted")["progress_ratio"] == 0.5


def test_status_since_is_the_first_day_of_the_current_status(marts: Any) -> None:
    days = marts.rows("select day, status from fct_key_result_daily where key_result_id = 'slowing' order by day")
    present = _scorecard(marts, "slowing")
    assert [row["status"] for row in days[:9]] == ["no_check_in"] * 9
    assert days[9]["status"] == "on_track"
    # 20 % of the way falls below a pace of 0.7 when 0.2 / 0.7 of 89 days have passed, below 0.4 when half have.
    assert next(row["day"] for row in days[9:] if row["status"] == "at_risk") == date(2026, 1, 1) + timedelta(days=26)
    off_track = date(2026, 1, 1) + timedelta(days=45)
    assert (present["status"], present["status_since"]) == ("off_track", off_track)
    assert days[-1] == {"day": off_track, "status": "off_track"}


def test_the_last_check_in_of_a_day_counts_whatever_the_order_of_the_log(marts: Any) -> None:
    row = _day(marts, "two on one day", date(2026, 2, 1))
    assert (row["latest_value"], row["check_in_count"], row["days_since_check_in"]) == (40.0, 2, 0)


def test_a_late_check_in_changes_the_days_from_its_own_time(marts: Any) -> None:
    assert _day(marts, "recorded late", date(2026, 1, 4))["latest_value"] is None
    assert _day(marts, "recorded late", date(2026, 1, 5))["latest_value"] == 5.0
    delay = marts.row("select recording_delay_s from fct_check_in where key_result_id = 'recorded late'")
    assert delay["recording_delay_s"] == 40 * 86400


def test_a_value_from_before_the_cycle_is_valid_from_its_first_day(marts: Any) -> None:
    row = _day(marts, "ahead of its cycle", date(2026, 1, 1))
    assert (row["latest_value"], row["days_since_check_in"], row["check_in_count"]) == (2.0, 11, 0)


def test_each_day_of_the_cycle_up_to_the_data_has_exactly_one_row(marts: Any) -> None:
    wrong = marts.rows(
        """
        select key_result_id, count(*), least(cycle_end, %s) - cycle_start + 1 as expected
        from fct_key_result_daily inner join mart_okr_scorecard using (key_result_id)
        group by key_result_id, cycle_start, cycle_end
        having count(*) <> least(cycle_end, %s) - cycle_start + 1
            or min(day) <> cycle_start or max(day) <> least(cycle_end, %s)
        """,
        *[AS_OF.date()] * 3,
    )
    assert wrong == []
    assert marts.row("select count(distinct key_result_id) as n from fct_key_result_daily")["n"] == 13


def test_the_team_scorecard_weights_scores_and_counts_every_key_result_once(marts: Any) -> None:
    row = marts.row("select * from mart_team_scorecard where team_id = 'team' and cycle_id = 'past'")
    assert (row["key_result_count"], row["closed_count"], row["achieved_count"], row["awaiting_close_count"]) == (
        4,
        3,
        2,
        1,
    )
    score = (70.41 - 66.56) / (72.06 - 66.56)
    assert row["attainment_ratio"] == pytest.approx((score + 1.0 + 3 * 0.2) / 5)
    assert row["achieved_ratio"] == pytest.approx(2 / 3)
    assert row["on_track_ratio"] is None
    totals = marts.row("select sum(key_result_count)::int as n from mart_team_scorecard")
    assert totals["n"] == 16


def test_the_organisation_scorecard_has_the_figures_of_all_teams(marts: Any) -> None:
    sums = "count(*) as team_count, sum(key_result_count)::int as key_results, sum(closed_count)::int as closed"
    teams = marts.rows(
        f"select organisation_id, cycle_id, {sums} from mart_team_scorecard where organisation_id is not null "
        "group by 1, 2"
    )
    found = marts.rows("select * from mart_organisation_scorecard where organisation_id is not null")
    by_key = {(row["organisation_id"], row["cycle_id"]): row for row in found}
    assert len(by_key) == len(found) == len(teams) > 1
    for team in teams:
        row = by_key[team["organisation_id"], team["cycle_id"]]
        assert (row["team_count"], row["key_result_count"], row["closed_count"]) == (
            team["team_count"], team["key_results"], team["closed"]
        )  # fmt: skip
    weighed = marts.row(
        "select sum(weight * final_score) / sum(weight) as attainment from mart_okr_scorecard "
        "where cycle_id = 'past' and is_closed and not is_archived"
    )
    past = [row for row in found if row["cycle_id"] == "past"]
    assert [row["attainment_ratio"] for row in past] == pytest.approx([weighed["attainment"]])


def test_teams_with_few_closed_key_results_have_no_calibration(marts: Any) -> None:
    rows = marts.rows("select distinct calibration_key_result_count, overconfidence_ratio from mart_team_scorecard")
    assert rows == [{"calibration_key_result_count": None, "overconfidence_ratio": None}]


def test_hygiene_counts_open_stale_and_never_updated_key_results_by_week(marts: Any) -> None:
    row = marts.row(
        "select * from mart_checkin_hygiene where team_id = 'team' and cycle_id = 'running' and week_start = %s",
        date(2026, 2, 2),
    )
    # falling, closed by mistake, silent, retargeted, slowing, two on one day, recorded late, ahead of its cycle
    assert (row["open_key_result_count"], row["last_day"]) == (8, date(2026, 2, 8))
    assert (row["checked_in_key_result_count"], row["check_in_count"]) == (0, 0)
    assert row["never_checked_in_key_result_count"] == 2  # silent, and falling, which starts on 10 February
    assert row["stale_key_result_count"] == 5  # all but "two on one day"
    week_before = marts.row(
        "select * from mart_checkin_hygiene where cycle_id = 'running' and week_start = %s", date(2026, 1, 26)
    )
    assert (week_before["checked_in_key_result_count"], week_before["check_in_count"]) == (1, 2)
    assert week_before["check_in_coverage_ratio"] == pytest.approx(1 / 8)
