"""Decisions on individual events, as `okr quarantine` records them."""

import json
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from lakehouse import quarantine
from lakehouse.errors import PermanentError
from lakehouse.quarantine.commands import app
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

FLAGGED, LOADED = UUID(int=1), UUID(int=2)
FOUND = """
CREATE TABLE marts.fct_reviewed_event AS
SELECT
    '00000000-0000-0000-0000-000000000001'::uuid AS event_id, 'implausible_progress' AS rule, 'r' AS reason,
    'okr.check_in.recorded.v1' AS event_type, 'k' AS subject, now() AS occurred_at, now() AS logged_at,
    NULL::text AS decision, NULL::text AS note, false AS is_withheld
"""


@pytest.fixture
def warehouse(fresh_database: Settings) -> Settings:
    """Two loaded events, one of which is listed in the published marts."""
    with connect(fresh_database.require("dsn_loader")) as connection:
        for offset, event_id in enumerate((FLAGGED, LOADED)):
            connection.execute(
                "INSERT INTO raw.okr_user_events VALUES (0, %s, now(), %s, 'okr.page.viewed.v1', 's', 'u', now(), "
                "now(), false, '{}')", (offset, event_id)
            )  # fmt: skip
    with connect(fresh_database.require("dsn_transform")) as connection:
        connection.execute(FOUND)
        connection.execute("GRANT SELECT ON marts.fct_reviewed_event TO okr_serving")
    return fresh_database


def kept(settings: Settings) -> list[tuple[object, ...]]:
    with connect(settings.require("dsn_transform")) as connection:
        return connection.execute(
            "SELECT event_id, rule, decision, note, decided_by FROM ops.event_review ORDER BY 1"
        ).fetchall()


def test_a_decision_is_recorded_for_the_rule_that_found_the_event(warehouse: Settings) -> None:
    dsn = warehouse.require("dsn_transform")
    quarantine.decide(dsn, [FLAGGED, LOADED], "withhold", by="ada", reason="a slip")
    assert kept(warehouse) == [
        (FLAGGED, "implausible_progress", "withhold", "a slip", "ada"), (LOADED, "manual", "withhold", "a slip", "ada"),
    ]  # fmt: skip
    quarantine.decide(dsn, [FLAGGED], "release", by="bo", reason=None)
    assert kept(warehouse)[0] == (FLAGGED, "implausible_progress", "release", None, "bo")


def test_a_release_replaces_every_decision_on_the_event(warehouse: Settings) -> None:
    """An event withheld manually and later found by a rule stayed withheld if released only for that rule."""
    dsn = warehouse.require("dsn_transform")
    with connect(dsn) as connection:
        connection.execute(
            "INSERT INTO ops.event_review (event_id, rule, decision, decided_by) "
            "VALUES (%s, 'manual', 'withhold', 'x')",
            (FLAGGED,),
        )
    quarantine.decide(dsn, [FLAGGED], "release", by="ada", reason=None)
    assert sorted(row[1:3] for row in kept(warehouse)) == [  # type: ignore[type-var]
        ("implausible_progress", "release"), ("manual", "release"),
    ]  # fmt: skip


def test_releasing_an_event_that_nothing_withholds_fails_with_an_explanation(warehouse: Settings) -> None:
    dsn = warehouse.require("dsn_transform")
    with pytest.raises(PermanentError, match=rf"Nothing to release: {LOADED}. They are not in the list"):
        quarantine.decide(dsn, [FLAGGED, LOADED], "release", by="ada", reason=None)
    assert kept(warehouse) == []
    quarantine.decide(dsn, [LOADED], "withhold", by="ada", reason=None)
    quarantine.decide(dsn, [LOADED], "release", by="ada", reason=None)
    assert [row[1:3] for row in kept(warehouse)] == [("manual", "release")]


def test_an_id_that_was_never_loaded_fails_and_nothing_is_recorded(warehouse: Settings) -> None:
    with pytest.raises(PermanentError, match="Not in the warehouse"):
        quarantine.decide(warehouse.require("dsn_transform"), [FLAGGED, uuid4()], "release", by="ada", reason=None)
    assert kept(warehouse) == []


def test_a_decision_on_an_event_that_is_no_longer_loaded_is_not_pending(warehouse: Settings) -> None:
    dsn = warehouse.require("dsn_transform")
    quarantine.decide(dsn, [LOADED], "withhold", by="ada", reason=None)
    assert [each.event_id for each in quarantine.pending_decisions(warehouse.require("dsn_serving"))] == [str(LOADED)]
    with connect(warehouse.require("dsn_loader")) as connection:
        connection.execute("TRUNCATE raw.okr_user_events")
    assert quarantine.pending_decisions(warehouse.require("dsn_serving")) == []


def test_neither_an_analyst_nor_the_api_may_record_decisions(warehouse: Settings) -> None:
    with connect(warehouse.require("dsn_serving")) as connection, pytest.raises(Exception, match="permission denied"):
        connection.execute("DELETE FROM ops.event_review")
    with connect(warehouse.require("dsn_analyst")) as connection, pytest.raises(Exception, match="permission denied"):
        connection.execute("SELECT * FROM ops.event_review")


def test_listing_before_the_first_publication_fails_with_a_message(fresh_database: Settings) -> None:
    with pytest.raises(PermanentError, match="Nothing has been published yet"):
        quarantine.events_for_review(fresh_database.require("dsn_serving"))
    assert quarantine.review_counts(fresh_database.require("dsn_serving")) == (0, 0)


def test_the_command_lists_events_and_records_decisions(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.settings.load_settings", lambda: warehouse)
    runner = CliRunner()
    assert f"{FLAGGED}\tcounts\timplausible_progress\tr" in runner.invoke(app, ["list"]).stdout
    assert runner.invoke(app, ["list", "--withheld"]).stdout == "No event is withheld.\n"
    assert json.loads(runner.invoke(app, ["list", "--json"]).stdout)["rule"] == "implausible_progress"
    decided = runner.invoke(app, ["withhold", str(FLAGGED), "--reason", "wrong unit"])
    assert decided.stdout.startswith("withhold: 1 event. A run of okr_etl_dag starts within a minute")
    assert decided.stdout.endswith("The state tables are updated when the next event arrives.\n")
    assert kept(warehouse)[0][2:4] == ("withhold", "wrong unit")
    assert (
        f"{FLAGGED}\tpending\timplausible_progress\twithhold: not published yet" in runner.invoke(app, ["list"]).stdout
    )
    assert runner.invoke(app, ["release", "no-uuid"]).exit_code == 2
