"""The steps of maintenance_dag: they maintain the lake or report why they were skipped, and delete expired requests."""

from pathlib import Path

import pytest

from dags.steps.maintenance import delete_expired_requests, maintain_lake
from ingestion.maintenance.report import read_last
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql
from tests.ingestion.maintenance.test_maintenance import TOPIC, fill

pytestmark = pytest.mark.usefixtures("airflow_home")


@pytest.fixture
def lake(fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake without tables, which the step finds by its settings."""
    settings = fresh_database.model_copy(update={"lake_uri": str(tmp_path / "lake")})
    for name in ("lake_uri", "dsn_loader"):
        monkeypatch.setenv(f"OKR_{name.upper()}", settings.require(name))
    return settings


def test_it_is_skipped_before_anything_has_landed_and_during_another_run(lake: Settings) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="Nothing has landed yet"):
        maintain_lake()
    fill(lake, 2)
    with connect(lake.require("dsn_loader"), autocommit=True) as other:
        other.execute(read_sql("ingestion.maintenance", "lock"))
        with pytest.raises(AirflowSkipException, match="Another maintenance run is in progress"):
            maintain_lake()


def test_it_maintains_the_lake(lake: Settings) -> None:
    fill(lake, 3)
    maintain_lake()
    assert read_last(lake.lake_uri)[TOPIC]["files_after"] == 1


ASKED = """
INSERT INTO api.check_in_request (
    operation, username, idempotency_key, check_in_id, key_result_id, body, event_id, occurred_at, warnings,
    received_at, kept_at
)
SELECT
    'record', 'app', name, name, 'k', '{}', md5(name)::uuid, now(), '[]', now() - make_interval(days => days),
    CASE WHEN is_kept THEN now() END
FROM (VALUES ('old', 91, true), ('old and on its way', 91, true), ('never kept', 91, false), ('young', 89, true))
    AS asked (name, days, is_kept)
"""
LEFT = [("old and on its way",), ("young",)]
LOGGED = """
INSERT INTO app.event (
    event_type, entity_id, event_id, occurred_at, logged_at, kafka_partition, kafka_offset, data
)
SELECT 'okr.check_in.recorded.v1', name, md5(name)::uuid, now(), now(), 0, 0, '{}'
FROM unnest(ARRAY['old', 'young']) AS name
"""


def test_requests_are_deleted_after_90_days_unless_their_event_is_still_in_flight(lake: Settings) -> None:
    with connect(lake.require("dsn_owner"), autocommit=True) as owner:
        owner.execute(ASKED)
        owner.execute(LOGGED)
        delete_expired_requests()
        left = owner.execute("SELECT check_in_id FROM api.check_in_request ORDER BY 1").fetchall()
    assert left == LEFT
