"""The daily check of published marts, and its Data Docs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from expectations.gx_runner import TableLocation, validate
from expectations.published_check import SCHEMAS, TABLES, require_passed, validate_published
from expectations.rules import Suite, sql_rules
from expectations.suites import drift
from expectations.warehouse_snapshot import snapshot
from lakehouse.errors import GateFailed, PermanentError
from lakehouse.publishing.marts_build import prepare_build
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.publications import publish_build


@pytest.fixture
def published(copy_of_the_build: Callable[[], AbstractContextManager[Settings]], tmp_path: Path) -> Iterator[Settings]:
    """A published build, with the loader's watermarks as they are after a load."""
    with copy_of_the_build() as settings:
        with connect(settings.require("dsn_loader")) as connection:
            connection.execute(
                "INSERT INTO raw.load_watermark SELECT 'okr_user_events', 0, max(kafka_offset) + 1, now() "
                "FROM raw.okr_user_events"
            )
        publish_build(settings)
        yield settings.model_copy(update={"sites_dir": tmp_path / "sites"})


SHOWN_WITHOUT_BEING_CURRENT = """
WITH other AS (
    INSERT INTO ops.publication (data_as_of, offsets, dbt_run_id, gate, rows, is_current)
    SELECT data_as_of, offsets, dbt_run_id, gate, rows, false FROM ops.publication
    RETURNING publication_id
)
INSERT INTO publishing.switch (attachment_id, publication_id) SELECT 1, publication_id FROM other
"""


# No role may change what is published: the policies of its tables permit SELECT only. Their owner can lift them.
LIFT_POLICIES = """
DO $$
DECLARE
    store regclass;
BEGIN
    FOR store IN SELECT oid FROM pg_class WHERE relforcerowsecurity AND relowner = current_user::regrole LOOP
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', store);
    END LOOP;
END $$
"""


def change(settings: Settings, role: str, statement: str) -> None:
    with connect(settings.require(role)) as connection:
        connection.execute(LIFT_POLICIES)
        assert connection.execute(statement.encode()).rowcount > 0


def test_published_marts_pass_and_their_docs_load_nothing_from_other_hosts(published: Settings) -> None:
    report = validate_published(published, "run")
    assert report.passed, report.summary()
    site = published.sites_dir / "quality"
    pages = [page.read_text(encoding="utf-8") for page in site.rglob("*.html")]
    assert len(pages) > len(report.suites)
    for page in pages:
        assert "<script" not in page
        assert 'src="http' not in page
        assert "https://cdn" not in page
        assert "okr_transform" not in page, "the login must not be in the docs"
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "Checked" in index
    assert "check_in_recomputed" in index


FAULTS = {
    "value_matches_raw": ("dsn_transform", "UPDATE marts.fct_check_in SET value = value + 1"),
    "progress_matches_a_definition": ("dsn_transform", "UPDATE marts.fct_check_in SET progress_ratio = 0.123"),
    "final_score_is_that_of_the_closing_check_in":
        ("dsn_transform", "UPDATE marts.mart_okr_scorecard SET final_score = 0.5"),
    "scorecard_matches_the_last_day":
        ("dsn_transform", "UPDATE marts.mart_okr_scorecard SET progress_ratio = progress_ratio + 0.01"),
    "nothing_beyond_the_watermark":
        ("dsn_loader", "UPDATE raw.load_watermark SET next_offset = 1, updated_at = now()"),
    "loaded_is_published": (
        "dsn_loader",
        "UPDATE raw.load_watermark SET next_offset = next_offset + 5, updated_at = now() - interval '2 hours'",
    ),
    "is_the_current_one": ("dsn_transform", SHOWN_WITHOUT_BEING_CURRENT),
    "rows_are_those_published": ("dsn_transform", "DELETE FROM marts.fct_check_in WHERE NOT is_final"),
}  # fmt: skip


@pytest.mark.parametrize("rule", FAULTS)
def test_a_fault_in_published_marts_is_found(published: Settings, rule: str) -> None:
    change(published, *FAULTS[rule])
    report = validate_published(published, "run")
    found = {broken.name: broken for _, broken in report.broken()}
    assert rule in found, report.summary()
    assert found[rule].error is None
    assert found[rule].unexpected
    with pytest.raises(GateFailed, match="okr publication rollback"):
        require_passed(report)


def test_every_rule_of_the_daily_check_has_a_fault_planted_for_it() -> None:
    added = [rule.name for name, _, _ in TABLES for rule in sql_rules(name) if not rule.advice]
    assert sorted(added) == sorted(FAULTS)


ONE_MORE_CHECK_IN = """
WITH loaded AS (
    INSERT INTO raw.okr_user_events
    SELECT kafka_partition, (SELECT max(kafka_offset) + 1 FROM raw.okr_user_events), logged_at, gen_random_uuid(),
        event_type, source, subject, occurred_at, recorded_at + interval '1 day', recorded_at_assumed,
        data || jsonb_build_object('check_in_id', 'another')
    FROM raw.okr_user_events WHERE event_type = 'okr.check_in.recorded.v1' LIMIT 1
    RETURNING kafka_offset
)
UPDATE raw.load_watermark SET next_offset = kafka_offset + 1, updated_at = %s FROM loaded
"""
AGO = "now() - interval '2 hours'"
ROLLED_BACK = "UPDATE ops.publication SET rolled_back_at = now() - interval '3 hours'"


def test_loaded_and_not_yet_published_data_breaks_no_rule(published: Settings) -> None:
    change(published, "dsn_loader", ONE_MORE_CHECK_IN.replace("%s", "now()"))
    report = validate_published(published, "run")
    assert report.passed, report.summary()
    assert "matches_the_publication" in {rule.name for _, rule in report.advice()}
    change(published, "dsn_transform", "UPDATE marts.fct_check_in SET value = value + 1")
    broken = {rule.name for _, rule in validate_published(published, "run").broken()}
    assert {"value_matches_raw", "progress_matches_a_definition"} <= broken


def test_data_that_waits_during_a_hold_breaks_no_rule(published: Settings) -> None:
    change(published, "dsn_loader", ONE_MORE_CHECK_IN.replace("%s", AGO))
    change(published, "dsn_transform", ROLLED_BACK)
    report = validate_published(published, "run")
    assert report.passed, report.summary()


FAILED_AGO = (
    "INSERT INTO ops.step_failure (pipeline, run_id, step, failed_at, message) "
    "VALUES ('okr_etl_dag', 'run', 'load', now() + %s, 'the lake is away')"
)


def test_an_old_failure_is_no_excuse_for_unpublished_data(published: Settings) -> None:
    change(published, "dsn_transform", "UPDATE ops.publication SET published_at = now() - interval '1 day'")
    change(published, "dsn_loader", ONE_MORE_CHECK_IN.replace("%s", AGO))
    change(published, "dsn_transform", FAILED_AGO.replace("%s", "interval '-30 minutes'"))
    assert validate_published(published, "run").passed, "runs are tried again, and the hold says why they fail"
    change(published, "dsn_transform", "UPDATE ops.step_failure SET failed_at = now() - interval '90 minutes'")
    broken = {rule.name for _, rule in validate_published(published, "run").broken()}
    assert "loaded_is_published" in broken


def test_a_publication_during_the_check_does_not_affect_it(published: Settings) -> None:
    dsn = published.require("dsn_transform")
    with snapshot(dsn) as seen:
        prepare_build(dsn, "next")
        with connect(dsn) as connection:
            for table in ("mart_okr_scorecard", "fct_check_in"):
                connection.execute(
                    f"CREATE TABLE marts_build.{table} AS SELECT * FROM marts.{table} WITH NO DATA".encode()
                )
        publish_build(published, "next")
        suites = (Suite("check_in", "fct_check_in", (), 1), Suite("publication", "publication", (), 1))
        report = validate("published", "run", suites, location=TableLocation(dsn, SCHEMAS, seen.name))
        assert report.passed, report.summary()
    assert not validate("published", "run", suites, location=TableLocation(dsn, SCHEMAS)).passed


def test_advice_is_reported_and_fails_nothing(published: Settings) -> None:
    newest = "(SELECT max(cycle_start) FROM ml.key_result_features WHERE as_of_kind = 'check_in')"
    change(published, "dsn_transform", f"UPDATE ml.key_result_features SET confidence = 0 WHERE cycle_start = {newest}")
    report = validate_published(published, "run")
    assert "confidence_is_like_in_training" in {rule.name for _, rule in report.advice()}
    assert report.passed, report.summary()
    assert "advice" in (published.sites_dir / "quality" / "index.html").read_text(encoding="utf-8")


def test_without_a_publication_there_is_nothing_to_validate(fresh_database: Settings) -> None:
    with pytest.raises(PermanentError, match="run okr_etl_dag first"):
        validate_published(fresh_database, "run")


def test_a_feature_without_enough_rows_has_no_rule() -> None:
    assert drift.suite({}).rules == ()
