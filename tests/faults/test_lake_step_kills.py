"""The steps of maintenance_dag and catch_up_dag, and the daily ledger, are killed at each point and then retried."""

from pathlib import Path

import psycopg
from deltalake import DeltaTable

from ingestion.delta.log import DeltaLog
from ingestion.loading import load
from ingestion.producer import EventProducer
from lakehouse.contracts import TOPICS
from lakehouse.settings import Settings
from tests.dags.test_catch_up import publish
from tests.dags.test_maintenance_step import ASKED, LEFT, LOGGED
from tests.dags.zygote import Zygote
from tests.faults.kills import killed_at_each
from tests.faults.lake import Events, committed, data_files, drain, landed_rows, send, uri
from tests.faults.proof import prove
from tests.faults.test_maintenance_faults import IMPORTS, MAINTENANCE_KILLED_AT

MAINTENANCE = ("maintenance_dag", "maintenance:maintain_lake")
REPORT = "from pathlib import Path; from ingestion.maintenance import report"
OF_MAINTENANCE = {f"maintain_lake: {point}": f"{IMPORTS}\n{kill}" for point, kill in MAINTENANCE_KILLED_AT.items()} | {
    "maintain_lake: before it stores its report": f"{REPORT}; before(report, 'save', die)",
    "maintain_lake: in the middle of its report": f"{REPORT}; before(Path, 'replace', die)",
    "maintain_lake: with its report stored": f"{REPORT}; after(report, 'save', die)",
}
FORGET = ("maintenance_dag", "maintenance:delete_expired_requests")
OF_FORGET = {
    "delete_expired_requests: before its COMMIT": "import psycopg; before(psycopg.Connection, 'commit', die)",
    "delete_expired_requests: after it": (
        "from ingestion.maintenance import expired_requests as expired; after(expired, 'delete_expired_requests', die)"
    ),
}
CATCH_UP = ("catch_up_dag", "catch_up:start_catch_up_run")
LOOK = "from dags.steps import catch_up"
OF_CATCH_UP = {
    "start_catch_up_run: before it compares": f"{LOOK}; before(catch_up, 'unpublished_rows', die)",
    "start_catch_up_run: with what is missing": f"{LOOK}; before(catch_up, 'report_rows', die)",
}
VERIFY = ("data_quality_dag", "quality:verify_lake")
LEDGER = (
    "import sys; from pathlib import Path; import ingestion.ledger; record = sys.modules['ingestion.ledger.record']"
)
OF_VERIFY = {
    "verify_lake: before its ledger is stored": f"{LEDGER}; before(record, 'write_metrics', die)",
    "verify_lake: in the middle of its metrics": f"{LEDGER}; before(Path, 'replace', die)",
    "verify_lake: in the ledger's transaction": f"{LEDGER}; after(record, '_insert', die, times=5)",
}
KEPT = {"verify_lake: with its ledger stored": "from ingestion import ledger; after(ledger, 'record', die)"}

KILLS = OF_MAINTENANCE | OF_FORGET | OF_CATCH_UP | OF_VERIFY | KEPT


def test_maintenance_killed_at_each_point_and_retried_keeps_every_row_and_releases_its_lock(
    zygote: Zygote, pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    """Before each try more events land, so that there are files to compact."""
    sent, offsets = 0, {}

    def more() -> None:
        nonlocal sent, offsets
        if offsets:
            assert committed(pipeline) == offsets
        send(producer, check_in, range(sent, sent + 60))
        drain(pipeline, rows=15)
        sent, offsets = sent + 60, committed(pipeline)

    more()
    ended = killed_at_each(zygote, pipeline, MAINTENANCE, OF_MAINTENANCE, run_id="run", meanwhile=more)
    assert ended.status == 0, f"skipped, so a lock was left: {ended.log}"
    assert committed(pipeline) == offsets
    assert landed_rows(pipeline) == sent
    assert DeltaLog(uri(pipeline)).checkpoints()[-1] == DeltaTable(uri(pipeline)).version()
    days = {file.parent for file in data_files(pipeline)}
    assert DeltaTable(uri(pipeline)).get_add_actions().num_rows == len(days), "each day is one file again"
    assert {each.name for each in Path(pipeline.lake_uri).iterdir()} - set(TOPICS) == {"_maintenance.json"}
    prove(pipeline, fault="maintain_lake of maintenance_dag killed at each point and retried", sent=sent)


def test_a_killed_catch_up_finds_missing_publications_again_and_a_ledger_is_stored_completely_or_not_at_all(
    zygote: Zygote, pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    send(producer, check_in, range(100))
    drain(pipeline)
    ended = killed_at_each(zygote, pipeline, CATCH_UP, OF_CATCH_UP, run_id="run")
    assert (ended.status, ended.result) == (0, 100), ended.log

    load(pipeline)
    publish(pipeline, **{f"p{number}": offset for number, offset in committed(pipeline).items() if offset})
    metrics = pipeline.metrics_dir / "ledger.prom"
    ended = killed_at_each(zygote, pipeline, VERIFY, OF_VERIFY, run_id="run")
    assert ended.status == 0, ended.log
    assert ledgers(pipeline) == [len(TOPICS)], "only the complete one"
    assert [each.name for each in metrics.parent.iterdir()] == [metrics.name]
    ended = killed_at_each(zygote, pipeline, VERIFY, KEPT, run_id="again")
    assert ended.status == 0, ended.log
    assert ledgers(pipeline) == [len(TOPICS)] * 3, "each finished proof is stored completely"
    assert "okr_ledger_passed 1" in metrics.read_text()


def test_the_retry_of_a_killed_step_deletes_expired_requests(zygote: Zygote, fresh_database: Settings) -> None:
    with psycopg.connect(fresh_database.require("dsn_owner"), autocommit=True) as owner:
        owner.execute(ASKED)
        owner.execute(LOGGED)
        ended = killed_at_each(zygote, fresh_database, FORGET, OF_FORGET, run_id="run")
        assert ended.status == 0, ended.log
        assert owner.execute("SELECT check_in_id FROM api.check_in_request ORDER BY 1").fetchall() == LEFT


def ledgers(settings: Settings) -> list[int]:
    """Return the number of topics of each stored ledger."""
    with psycopg.connect(settings.require("dsn_loader")) as connection:
        found = connection.execute("SELECT count(*) FROM ops.ledger GROUP BY verified_at ORDER BY verified_at")
        return [int(topics) for (topics,) in found]
