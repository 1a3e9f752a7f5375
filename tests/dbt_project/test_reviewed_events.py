"""Two organisations whose ids coincide, and individual events that are flagged, withheld or released."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from lakehouse.contracts.comment import CommentPosted
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.contracts.user import UserDefined
from lakehouse.warehouse import connect
from tests.dbt_project.state_tables import apply_log, assert_state_says_what_marts_say

REVIEWED = "SELECT rule, event_type, subject, reason, decision, is_withheld FROM fct_reviewed_event WHERE event_id = %s"


def second_organisation(log: Any, start: Any) -> dict[str, Any]:
    """Add organisation B, which shares some ids and addresses with A; return its events by name."""
    at = start + timedelta(days=30)
    cycle = {"organisation_id": "b", "starts_on": start.date(), "ends_on": (start + timedelta(days=80)).date()}
    return {
        "organisation": log.add(OrganisationDefined(organisation_id="b", name="B"), at),
        "team": log.add(TeamDefined(team_id="b-team", organisation_id="b", name="Team"), at),
        "same team": log.add(TeamDefined(team_id="team", organisation_id="b", name="Theirs"), at),
        "user": log.add(UserDefined(user_id="bo", name="Bo", email="ada@example.org", team_id="b-team"), at),
        "same user": log.add(UserDefined(user_id="ada", name="Ada B", email="ada@b.org", team_id="b-team"), at),
        "cycle": log.add(CycleDefined(cycle_id="b-cycle", name="Q", **cycle), at),
        "same cycle": log.add(CycleDefined(cycle_id="running", name="Q", **cycle), at),
        "objective": log.add(
            ObjectiveDefined(objective_id="b-objective", team_id="b-team", cycle_id="b-cycle", title="Theirs"), at
        ),
        "torn objective": log.add(
            ObjectiveDefined(objective_id="b-torn", team_id="b-team", cycle_id="running", title="Torn"), at
        ),
        "key result": log.key_result("KR-2", at=at, objective_id="b-objective"),
        "same key result": log.key_result("KR-1", at=at, objective_id="b-objective", target=7.0, title="Theirs"),
        "check-in": log.check_in("KR-2", 50.0, at + timedelta(days=1), user_id="bo"),
        "check-in by the user": log.check_in("KR-1", 6.0, at + timedelta(days=1), user_id="bo"),
        "check-in by the organisation": log.check_in(
            "KR-1", 5.0, at + timedelta(days=2), organisation_id="b"
        ),
        "same check-in": log.check_in("KR-2", 99.0, at + timedelta(days=3), check_in_id="ours"),
        "archived": log.add(KeyResultArchived(key_result_id="KR-1", user_id="bo"), at + timedelta(days=4)),
        "same comment": log.add(
            CommentPosted(comment_id="said", key_result_id="KR-2", user_id="bo", text="Theirs"), at + timedelta(days=5)
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def log(new_log: Callable[[], Any]) -> Any:
    return new_log()


@pytest.fixture(scope="module")
def built(dbt: Any, log: Any) -> dict[str, Any]:
    """Organisation A with KR-1 and an implausible, an orphan and an early check-in, and organisation B."""
    from tests.dbt_project.conftest import midnight

    start = midnight(2026, 1, 1)
    log.organisation()
    log.key_result("KR-1")
    events = {
        "ours": log.check_in("KR-1", 40.0, start + timedelta(days=10), check_in_id="ours"),
        "implausible": log.check_in("KR-1", -1e15, start + timedelta(days=11)),
        "orphan": log.check_in("KR-9", 1.0, start + timedelta(days=12)),
        "early": log.check_in("KR-1", 1.0, midnight(1971, 1, 1)),
        "last": log.check_in("KR-1", 50.0, start + timedelta(days=60)),
    }
    log.add(CommentPosted(comment_id="said", key_result_id="KR-1", user_id="ada", text="Ours"), start)
    events |= second_organisation(log, start)
    log.load(dbt.settings)
    dbt.build()
    return events


WITHHELD = {
    "same team": "team team belongs to organisation org, but this event says b.",
    "same cycle": "cycle running belongs to organisation org, but this event says b.",
    "same user": "user ada belongs to organisation org, but this event says b.",
    "torn objective": (
        "objective b-torn belongs to team b-team in organisation b, but to cycle running in organisation org."
    ),
    "same key result": "key result KR-1 belongs to organisation org, but this event says b.",
    "check-in by the user": "key result KR-1 belongs to organisation org, but this event says b.",
    "check-in by the organisation": "key result KR-1 belongs to organisation org, but this event says b.",
    "same check-in": "check-in ours belongs to key result KR-1, but this event says KR-2.",
    "archived": "key result KR-1 belongs to organisation org, but this event says b.",
    "same comment": "comment said belongs to key result KR-1, but this event says KR-2.",
}
OF_ONE_KEY_RESULT = ("same check-in", "same comment")
FLAGGED = {
    "implausible": (
        "implausible_progress",
        "value -1000000000000000 is -10000000000000 times the targeted gain away from the baseline of key result KR-1.",
    ),
    "orphan": ("unknown_key_result", "belongs to key result KR-9, which has never been defined."),
    "early": ("implausible_year", "is dated 1971."),
}


@pytest.mark.parametrize("name", WITHHELD)
def test_an_event_that_would_move_an_id_is_withheld(built: Any, dbt: Any, name: str) -> None:
    row = dbt.row(REVIEWED, built[name].event_id)
    assert row == {
        "rule": "other_key_result" if name in OF_ONE_KEY_RESULT else "other_organisation",
        "event_type": built[name].event_type, "subject": built[name].subject,
        "reason": WITHHELD[name], "decision": None, "is_withheld": True,
    }  # fmt: skip


@pytest.mark.parametrize("name", FLAGGED)
def test_an_implausible_event_counts_and_is_flagged(built: Any, dbt: Any, name: str) -> None:
    row = dbt.row(REVIEWED, built[name].event_id)
    rule, reason = FLAGGED[name]
    assert (row["rule"], row["is_withheld"]) == (rule, False)
    assert row["reason"].endswith(reason)


def test_no_other_event_is_flagged(built: Any, dbt: Any) -> None:
    found = {row["event_id"] for row in dbt.rows("SELECT event_id FROM fct_reviewed_event")}
    assert found == {built[name].event_id for name in (*WITHHELD, *FLAGGED)}


def test_each_organisation_keeps_its_own_entities(built: Any, dbt: Any) -> None:
    rows = dbt.rows("SELECT key_result_id, organisation, target, latest_value FROM mart_okr_scorecard ORDER BY 1")
    assert rows == [
        {"key_result_id": "KR-1", "organisation": "Org", "target": 100.0, "latest_value": 50.0},
        {"key_result_id": "KR-2", "organisation": "B", "target": 100.0, "latest_value": 50.0},
    ]
    users = dbt.rows("SELECT user_id, name, email FROM dim_user WHERE is_current ORDER BY 1")
    assert [tuple(row.values()) for row in users] == [
        ("ada", "Ada", "ada@example.org"), ("bo", "Bo", "ada@example.org"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def loader(dbt: Any) -> Iterator[psycopg.Connection[Any]]:
    with connect(dbt.settings.require("dsn_loader"), autocommit=True) as connection:
        yield connection


def test_the_primary_database_withholds_the_same_events(built: Any, dbt: Any, log: Any, loader: Any) -> None:
    ours, theirs = log.events[::2], log.events[1::2]
    apply_log(loader, reversed(ours))
    apply_log(loader, theirs)
    assert_state_says_what_marts_say(loader, dbt)
    reasons = dict(loader.execute("SELECT event_id, withheld_because FROM app.event").fetchall())
    kept = WITHHELD.keys() - {"same comment"}  # the state tables do not include comments
    assert {name: reasons[built[name].event_id] for name in kept} == {name: WITHHELD[name] for name in kept}
    okrs = "SELECT key_result_id, key_result, target, last_value FROM app.okrs ORDER BY 1"
    assert loader.execute(okrs).fetchall() == [
        ("KR-1", "KR-1", 100.0, 50.0), ("KR-2", "KR-2", 100.0, 50.0),
    ]  # fmt: skip
    emails = dict(loader.execute("SELECT source_user_id, email FROM app.users").fetchall())
    assert emails["ada"] == "ada@example.org"
    assert emails["bo"].endswith("@superseded.invalid")


def test_every_event_is_in_a_mart_or_listed_as_withheld(built: Any, dbt: Any) -> None:
    counted = dbt.row(
        "SELECT (SELECT count(*) FROM raw.okr_user_events WHERE event_type = 'okr.check_in.recorded.v1') AS loaded, "
        "(SELECT count(*) FROM fct_check_in_version) AS versions, (SELECT count(*) FROM fct_reviewed_event "
        "WHERE is_withheld AND event_type = 'okr.check_in.recorded.v1') AS withheld"
    )
    assert counted["loaded"] == counted["versions"] + counted["withheld"]


def test_decisions_apply_from_the_next_build_and_event(built: Any, dbt: Any, log: Any, loader: Any) -> None:
    apply_log(loader, log.events)
    decide(dbt, built["same key result"].event_id, "other_organisation", "release")
    decide(dbt, built["implausible"].event_id, "implausible_progress", "withhold")
    dbt.build()
    released = dbt.row(REVIEWED, built["same key result"].event_id)
    assert (released["decision"], released["is_withheld"]) == ("release", False)
    withheld = dbt.row(REVIEWED, built["implausible"].event_id)
    assert (withheld["decision"], withheld["is_withheld"]) == ("withhold", True)
    assert dbt.row("SELECT title, organisation FROM mart_okr_scorecard WHERE key_result_id = 'KR-1'") == {
        "title": "Theirs", "organisation": "B"
    }  # fmt: skip
    # When B's definition of the key result is released, B's check-ins of it are no longer withheld.
    assert dbt.rows(REVIEWED, built["check-in by the user"].event_id) == []
    assert dbt.rows("SELECT value FROM fct_check_in WHERE value = 20000") == []
    apply_log(loader, log.events[:1])
    assert_state_says_what_marts_say(loader, dbt)
    assert loader.execute("SELECT key_result, target FROM app.okrs WHERE key_result_id = 'KR-1'").fetchall() == [
        ("Theirs", 7.0)
    ]
    with connect(dbt.settings.require("dsn_owner")) as owner:
        owner.execute("DELETE FROM ops.event_review")
    apply_log(loader, log.events[:1])
    assert loader.execute("SELECT key_result, target FROM app.okrs WHERE key_result_id = 'KR-1'").fetchall() == [
        ("KR-1", 100.0)
    ]


def decide(dbt: Any, event_id: UUID, rule: str, decision: str) -> None:
    with connect(dbt.settings.require("dsn_transform")) as connection:
        connection.execute(
            "INSERT INTO ops.event_review (event_id, rule, decision, decided_by) VALUES (%s, %s, %s, 'test')",
            (event_id, rule, decision),
        )
