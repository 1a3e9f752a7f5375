"""Two organisations whose ids coincide, by files and by Kafka, through the real pipeline into state and marts."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract_validation import encode
from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.producer import EventProducer
from ingestion.sources.okr_files.importer import deliver
from ingestion.sources.okr_files.row_validation import read_history
from ingestion.state.consumer import consume_state
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.user import UserDefined
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.dbt_project.conftest import Dbt
from tests.dbt_project.state_tables import assert_state_says_what_marts_say
from tests.publications import publish_build

NOW = datetime(2026, 2, 1, tzinfo=UTC)
KEY_RESULTS = """\
key_result_id,organisation,team,owner_email,cycle,cycle_start,cycle_end,objective,key_result,unit,baseline,target
KR-1,{name},Payments,ann@example.org,2026-Q1,2026-01-01,2026-03-31,Be quick,KR-1 of {name},days,20,5
KR-{name},{name},Payments,ann@example.org,2026-Q1,2026-01-01,2026-03-31,Be quick,Own of {name},days,20,5
"""
CHECK_INS = """\
key_result_id,checked_in_at,value,confidence,note
KR-1,2026-01-08T10:00:00Z,{value},,
KR-1,2026-01-{day}T10:00:00Z,{value},,
KR-{name},2026-01-09T10:00:00Z,{value},,
"""


def send_files(pipeline: Settings, folder: Path, name: str, value: int, day: int) -> None:
    """Import all files of one organisation, so that the log has it before later events."""
    folder.mkdir()
    (folder / "key_results.csv").write_text(KEY_RESULTS.format(name=name))
    (folder / "check_ins.csv").write_text(CHECK_INS.format(name=name, value=value, day=day))
    rejected: list[Any] = []
    history = read_history(folder, now=NOW, reject=rejected.append)
    deliver(history, pipeline)
    assert rejected == []
    time.sleep(0.01)  # the log's time is in milliseconds


def send_by_kafka(producer: EventProducer) -> None:
    """Events of the second organisation about KR-1, and a check-in without a user, as the API sends it."""
    at = datetime(2026, 1, 20, tzinfo=UTC)
    facts: list[Any] = [
        UserDefined(user_id="bo", name="Bo", email="ann@example.org", team_id="globex/Payments"),
        CheckInRecorded(check_in_id="by-bo", key_result_id="KR-1", value=99.0, user_id="bo"),
        KeyResultArchived(key_result_id="KR-1", user_id="bo"),
        CheckInRecorded(check_in_id="by-the-api", key_result_id="KR-1", value=11.0),
        CheckInRecorded(check_in_id="own", key_result_id="KR-globex", value=12.0, user_id="bo"),
    ]
    for fact in facts:
        producer.send(encode(fact, at=at, source="test"))
    producer.flush()


@pytest.fixture
def arrived(pipeline: Settings, producer: EventProducer, tmp_path: Path) -> Settings:
    send_files(pipeline, tmp_path / "acme", "acme", 15, 10)
    send_files(pipeline, tmp_path / "globex", "globex", 19, 11)
    send_by_kafka(producer)
    consume_state(pipeline, threading.Event(), drain=True)
    land(pipeline, threading.Event(), drain=True)
    load(pipeline)
    return pipeline


def test_an_id_stays_with_the_first_organisation_whatever_the_source_of_the_second(
    arrived: Settings, dbt_target: Path
) -> None:
    dbt = Dbt(arrived, dbt_target)
    dbt.build()
    scorecard = "select key_result_id, organisation, title, latest_value from mart_okr_scorecard order by 1"
    assert [tuple(row.values()) for row in dbt.rows(scorecard)] == [
        ("KR-1", "acme", "KR-1 of acme", 11.0),
        ("KR-acme", "acme", "Own of acme", 15.0),
        ("KR-globex", "globex", "Own of globex", 12.0),
    ]
    withheld = "select event_type, count(*)::int as events from fct_reviewed_event where is_withheld group by 1"
    assert {row["event_type"]: row["events"] for row in dbt.rows(withheld)} == {
        "okr.user.defined.v1": 1,
        "okr.key_result.defined.v1": 1,
        "okr.check_in.recorded.v1": 3,
        "okr.key_result.archived.v1": 1,
    }
    with connect(arrived.require("dsn_loader"), autocommit=True) as loader:
        assert_state_says_what_marts_say(loader, dbt)
        okrs = "SELECT key_result_id, key_result, last_value, status FROM app.okrs ORDER BY 1"
        assert loader.execute(okrs).fetchall() == [
            ("KR-1", "KR-1 of acme", 11.0, "in_progress"),
            ("KR-acme", "Own of acme", 15.0, "in_progress"),
            ("KR-globex", "Own of globex", 12.0, "in_progress"),
        ]
        users = dict(loader.execute("SELECT source_user_id, email FROM app.users").fetchall())
    assert users.keys() == {"ann@example.org", "bo"}
    assert users["ann@example.org"] == "ann@example.org"
    assert users["bo"].endswith("@superseded.invalid")
    publish_build(arrived)
    assert_an_organisation_reads_only_its_rows(arrived)


def assert_an_organisation_reads_only_its_rows(settings: Settings) -> None:
    """Every row of a mart belongs to one organisation or to none, and only its own readers find it."""
    marts = "SELECT table_name FROM information_schema.columns WHERE column_name = 'organisation_id'"
    with connect(settings.require("dsn_organisation")) as connection:
        names = [str(name) for (name,) in connection.execute(f"{marts} AND table_schema = 'marts'".encode()).fetchall()]
        seen = {}
        for organisation_id in ("acme", "globex"):
            connection.execute("SELECT set_config('okr.organisation_id', %s, false)", (organisation_id,))
            for name in names:
                rows = connection.execute(f"SELECT DISTINCT organisation_id FROM marts.{name}".encode()).fetchall()
                seen[name, organisation_id] = [value for (value,) in rows]
    empty = {"fct_prediction", "fct_user_activity_daily"}
    assert len(names) >= 13
    for (name, organisation_id), found in seen.items():
        assert found == [organisation_id] or (not found and name in empty), (name, found)
