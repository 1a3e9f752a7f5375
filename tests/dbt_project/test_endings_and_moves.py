"""What ended, moved or came twice at one moment: each test has an organisation of its own in one log."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ingestion.batch import Span
from ingestion.state.store import StateStore
from lakehouse.contracts.cycle import CycleClosed, CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveArchived, ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.page import PageViewed
from lakehouse.contracts.team import TeamArchived, TeamDefined
from lakehouse.contracts.user import UserDeactivated, UserDefined
from lakehouse.warehouse import connect

AS_OF = datetime(2026, 11, 24, 9, tzinfo=UTC)
Q3 = (date(2026, 7, 1), date(2026, 9, 30))
Q4 = (date(2026, 10, 1), date(2026, 12, 31))
BEGUN = datetime(2026, 7, 1, 8, tzinfo=UTC)


def _at(month: int, day: int, hour: int = 9) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


class Organisation:
    """One organisation of the log: teams a and b, cycles q3 and q4; every id begins with its name."""

    def __init__(self, log: Any, name: str) -> None:
        self.log, self.name = log, name
        log.add(OrganisationDefined(organisation_id=name, name=f"Org {name}"), BEGUN)
        self.team("a")
        self.team("b")
        self.cycle("q3", *Q3)
        self.cycle("q4", *Q4)

    def __call__(self, short: str) -> str:
        return f"{self.name}-{short}"

    def team(self, team: str, name: str | None = None, at: datetime = BEGUN) -> None:
        name = name or f"{self.name} team {team}"
        self.log.add(TeamDefined(team_id=self(team), organisation_id=self.name, name=name), at)

    def cycle(self, cycle: str, start: date, end: date, at: datetime = BEGUN) -> None:
        defined = CycleDefined(
            cycle_id=self(cycle), organisation_id=self.name, name=self(cycle), starts_on=start, ends_on=end
        )
        self.log.add(defined, at)

    def objective(self, objective: str, cycle: str = "q4", team: str = "a", at: datetime = BEGUN) -> None:
        defined = ObjectiveDefined(
            objective_id=self(objective), team_id=self(team), cycle_id=self(cycle), title=f"{objective} of {team}"
        )
        self.log.add(defined, at)

    def key_result(self, key_result: str, objective: str, at: datetime = BEGUN, **fields: Any) -> Any:
        fields = {"baseline": 0.0, "target": 10.0} | fields
        return self.log.key_result(self(key_result), objective_id=self(objective), at=at, **fields)

    def check_in(self, key_result: str, value: float, at: datetime, **fields: Any) -> None:
        self.log.check_in(self(key_result), value, at, **fields)


def _archived(log: Any) -> None:
    org = Organisation(log, "archived")
    for objective in ("kept", "given-up", "revived"):
        org.objective(objective)
    for number, objective in enumerate(("kept", "kept", "given-up", "revived", "kept", "kept"), start=1):
        org.key_result(f"k{number}", objective)
    org.check_in("k1", 8.0, _at(11, 10))
    org.check_in("k2", 0.5, _at(11, 10))
    org.check_in("k4", 8.0, _at(11, 10))
    log.add(KeyResultArchived(key_result_id=org("k2"), reason="entered by mistake"), _at(11, 20))
    log.add(ObjectiveArchived(objective_id=org("given-up"), reason="given up"), _at(11, 20))
    log.add(ObjectiveArchived(objective_id=org("revived")), _at(11, 12))
    org.objective("revived", at=_at(11, 15))
    org.check_in("k5", 8.0, _at(11, 10), is_final=True)
    log.add(KeyResultArchived(key_result_id=org("k5")), _at(11, 12))  # after its closing
    log.add(KeyResultArchived(key_result_id=org("k6")), _at(11, 12))
    org.check_in("k6", 8.0, _at(11, 14), is_final=True)  # closed after it was archived


def _carried(log: Any) -> None:
    org = Organisation(log, "carried")
    org.objective("o3", "q3")
    org.objective("o4", "q4")
    org.key_result("k1", "o3")
    org.check_in("k1", 4.0, _at(8, 10), confidence=0.6)
    org.check_in("k1", 8.0, _at(10, 2), is_final=True)
    org.key_result("k1", "o4", _at(10, 3), baseline=8.0, target=20.0, title="carried over")
    org.check_in("k1", 9.0, _at(10, 20))
    org.check_in("k1", 14.0, _at(11, 20))
    # Never closed: over in the third quarter, open in the fourth. Planned by mistake in the third: there it is nowhere.
    for name in ("unclosed", "mistaken"):
        org.key_result(name, "o3")
    org.check_in("unclosed", 5.0, _at(9, 1))
    org.key_result("unclosed", "o4", _at(10, 4))
    org.check_in("mistaken", 5.0, _at(8, 1))
    org.key_result("mistaken", "o4", _at(8, 15))


def _moved(log: Any) -> None:
    org = Organisation(log, "moved")
    org.objective("o1")
    org.key_result("k1", "o1", owner_user_id="moved-ada")
    for user_team, at in (("a", BEGUN), ("b", _at(11, 2, 8))):
        ada = UserDefined(user_id="moved-ada", name="Ada", email="moved@example.org", team_id=org(user_team))
        log.add(ada, at)
    for number, day in enumerate((6, 13, 20, 27)):
        org.check_in("k1", 0.6 + 0.7 * number, _at(10, day), user_id="moved-ada")
    org.objective("o1", team="b", at=_at(11, 2, 8))
    for number, day in enumerate((3, 10, 17, 24)):
        org.check_in("k1", 3.3 + 0.7 * number, _at(11, day), user_id="moved-ada")
    org.team("a", "renamed", at=_at(10, 20, 8))


def _dissolved(log: Any) -> None:
    org = Organisation(log, "dissolved")
    for team in ("a", "b", "c"):
        org.team(team)
        org.objective(f"of-{team}", team=team)
        org.key_result(f"k-{team}", f"of-{team}")
    org.objective("past-of-a", "q3")
    org.key_result("past", "past-of-a")
    org.check_in("past", 8.0, _at(9, 30), is_final=True)
    log.add(TeamArchived(team_id=org("a"), successor_team_id=org("b")), _at(11, 1))
    log.add(TeamArchived(team_id=org("c")), _at(11, 1))
    log.add(UserDefined(user_id="gone", name="Gone", email="gone@example.org", team_id=org("a")), BEGUN)
    log.add(PageViewed(user_id="gone", page="home"), _at(11, 5))
    log.add(UserDeactivated(user_id="gone"), _at(11, 6))


def _closed_cycle(log: Any) -> None:
    org = Organisation(log, "closed")
    org.objective("o3", "q3")
    for name in ("unclosed", "silent", "final", "corrected", "late"):
        org.key_result(name, "o3")
    org.check_in("unclosed", 8.0, _at(9, 20))
    org.check_in("final", 9.0, _at(9, 30), is_final=True)
    org.check_in("final", 1.0, _at(10, 2))  # after its closing, before the cycle's: changes nothing
    org.check_in("corrected", 2.0, _at(9, 30), is_final=True)
    org.check_in("late", 2.0, _at(9, 10))
    org.check_in("late", 8.0, _at(9, 20), log={"logged_at": _at(10, 20)})  # happened before, came after
    log.add(CycleClosed(cycle_id=org("q3")), _at(10, 10))
    org.check_in("corrected", 7.5, _at(10, 12))


def _tied(log: Any) -> None:
    org = Organisation(log, "tied")
    org.objective("o1")
    for number in range(6):
        org.key_result(f"f{number}", "o1")
    moment = _at(10, 5)
    first = org.key_result("k1", "o1", moment, target=20.0)
    second = log.key_result(
        org("k1"), at=moment, objective_id=org("o1"), target=30.0, baseline=0.0, title="sent a second later"
    )
    # Another partition, a lower offset, a lower id: only the time of the log says that it came later.
    for event, partition, offset, seconds, low in ((first, 0, 10**6, 1, "f"), (second, 3, 10**6 - 1, 2, "0")):
        place = {"partition": partition, "offset": offset, "logged_at": moment + timedelta(seconds=seconds)}
        identity = {"event_id": UUID(f"01a10b13-a800-7{low * 3}-8000-000000000000")}
        log.replace(event, **place, **identity)
    org.check_in("k1", 15.0, _at(11, 10))


def _weighed(log: Any) -> None:
    org = Organisation(log, "weighed")
    org.objective("o1")
    for name, value in (("k1", 10.0), ("k2", 0.0)):
        org.key_result(name, "o1")
        org.check_in(name, value, _at(11, 10), is_final=True)
    log.without(org("k1"), "weight")
    org.objective("o-b", team="b")
    org.key_result("silent", "o-b")
    org.team("c", "weighed team b")


@pytest.fixture(scope="module")
def log(new_log: Callable[[], Any]) -> Any:
    log = new_log()
    for story in (_archived, _carried, _moved, _dissolved, _closed_cycle, _tied, _weighed):
        story(log)
    log.add(PageViewed(user_id="moved-ada", page="home"), AS_OF - timedelta(minutes=1), logged_at=AS_OF)
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
    assert (past["is_current_cycle"], past["ended_at"]) == (False, _at(10, 3))
    assert (present["cycle_id"], present["is_closed"], present["progress_ratio"]) == ("carried-q4", False, 0.5)
    assert (present["title"], present["status"], present["opened_at"]) == ("carried over", "on_track", _at(10, 3))
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


def test_an_unclosed_key_result_awaits_its_closing_in_the_cycle_that_it_was_in_at_the_end(marts: Any) -> None:
    past, present = _scorecard(marts, "carried-unclosed")
    assert (past["status"], past["latest_value"]) == ("awaiting_close", 5.0)
    assert (present["status"], present["latest_value"]) == ("no_check_in", None)


def test_what_was_planned_in_one_cycle_and_done_in_another_counts_in_the_other(marts: Any) -> None:
    (row,) = _scorecard(marts, "carried-mistaken")
    assert (row["cycle_id"], row["latest_value"], row["check_in_count"]) == ("carried-q4", 5.0, 1)
    # Its days stay where they were.
    august = "select count(*)::int as n from fct_key_result_daily where key_result_id = 'carried-mistaken' and day < %s"
    assert marts.row(august, date(2026, 8, 15))["n"] == 45


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
    assert team == {"archived_at": _at(11, 1), "successor_team_id": "dissolved-b"}


def test_a_deactivated_user_is_marked_and_what_they_did_stays(marts: Any) -> None:
    assert marts.row("select deactivated_at from dim_user where user_id = 'gone'") == {"deactivated_at": _at(11, 6)}
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
    assert found["unclosed"]["final_at"] == _at(10, 10)
    assert found["corrected"]["final_at"] == _at(10, 12)
    known = marts.row("select known_at from ml_build.key_result_outcome where key_result_id = 'closed-late'")
    assert known == {"known_at": _at(10, 20)}
    assert marts.row("select closed_at from dim_cycle where cycle_id = 'closed-q3'") == {"closed_at": _at(10, 10)}


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
    rows = [
        {
            "event_type": event.event_type,
            "subject": event.subject,
            "event_id": str(event.event_id),
            "occurred_at": event.occurred_at,
            "logged_at": event.logged_at,
            "kafka_partition": event.partition,
            "kafka_offset": event.offset,
            "data": event.data.decode(),
        }
        for event in log.events
    ]
    with connect(marts.settings.require("dsn_loader"), autocommit=True) as loader:
        StateStore(loader, "cluster", "group").apply("okr_user_events", rows, {0: Span(None, len(rows))})
        state = loader.execute(
            """
            SELECT key_result_id, cycle_id, team_id, objective_id, target, is_current, is_archived, archived_at,
                is_closed, closed_at, least(greatest(CASE WHEN is_closed THEN progress END, 0), 1)
            FROM app.key_result_cycles ORDER BY key_result_id, cycle_id
            """
        ).fetchall()
        okrs = dict(loader.execute("SELECT key_result_id, status FROM app.okrs").fetchall())
        live = StateStore(loader, "cluster", "group").cycle_progress()
        gone = loader.execute("SELECT deactivated_at FROM app.users WHERE source_user_id = 'gone'").fetchall()
    marts_say = marts.rows(
        """
        select key_result_id, cycle_id, team_id, objective_id, target, is_current_cycle, is_archived, archived_at,
            is_closed, final_at, case when is_closed then final_score else 0 end as score
        from int_key_result_cycle order by key_result_id, cycle_id
        """
    )
    assert state == [tuple(row.values()) for row in marts_say]
    assert (okrs["archived-k2"], okrs["archived-k3"], okrs["archived-k5"]) == ("archived", "archived", "achieved")
    assert (okrs["carried-k1"], okrs["tied-k1"], okrs["dissolved-k-c"]) == ("in_progress", "in_progress", "archived")
    assert live["carried-q3"] == pytest.approx((0.8 + 0.5) / 2)
    assert live["archived-q4"] == pytest.approx(0.8)
    assert gone == [(_at(11, 6),)]
