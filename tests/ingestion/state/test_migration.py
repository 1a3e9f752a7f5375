"""A database from before app.event keeps its state: consumed events come from raw, others from Kafka."""

from decimal import Decimal
from pathlib import Path

from ingestion.state.store import StateStore
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.state.events import Row, apply, check_in, key_result, placed

VERSIONS = Path(__file__).parents[3] / "infra" / "migrations" / "versions"
SQL = VERSIONS / "0009_state_events.sql"
LATER = [
    VERSIONS / f"{name}.sql"
    for name in (
        "0020_state_of_cycles",
        "0022_state_identity",
        "0029_key_results_carried_over",
        "0034_closed_then_carried_on",
    )
]
BACK_TO_0008 = """
DROP VIEW api.defined_key_result, api.defined_key_result_cycle;
DROP VIEW api.logged_definition, api.withheld_event;
DROP VIEW app.organisations, app.teams, app.cycles, app.objectives, app.key_results;
DROP VIEW app.team_holders;
DROP FUNCTION app.endings;
DROP VIEW api.logged_check_in;
DROP VIEW app.counted_event;
DROP AGGREGATE app.organisations_of(text [], boolean);
DROP FUNCTION app.organisations_so_far;
DROP TABLE app.applied_review;
DROP TABLE app.event, app.check_ins, app.user_activity, app.refused_event, app.key_result_cycles;
ALTER TABLE app.newest_event DROP COLUMN position, DROP COLUMN logged_at;
ALTER TABLE app.users DROP COLUMN deactivated_at;
ALTER TABLE app.okrs DROP COLUMN archived_at;
DROP TYPE app.log_position
"""
LOADED = """
INSERT INTO raw.okr_user_events
SELECT %(kafka_partition)s, %(kafka_offset)s, %(logged_at)s, %(event_id)s, %(event_type)s, 'test', %(subject)s,
    %(occurred_at)s, %(logged_at)s, false, %(data)s
"""
# As the earlier consumer stored it: closed, because it ignored the correction of the closing check-in.
KEPT = """
INSERT INTO app.newest_event VALUES
('okr.check_in.recorded.v1', 'kr', now(), 0, 3, '{"value": 99}', now()),
('okr.check_in.recorded.v1/final', 'kr', now(), 0, 3, '{"value": 99, "is_final": true}', now())
"""
CLOSED = """
INSERT INTO app.okrs (okr_id, key_result_id, baseline, target, last_value, progress, status, is_closed)
VALUES (gen_random_uuid(), 'kr', 0, 100, 99, 0.99, 'achieved', true)
"""


def test_consumed_events_are_kept_and_the_log_is_read_again(fresh_database: Settings) -> None:
    history: list[Row] = [
        placed(0, key_result(), 0),
        placed(9, check_in(1, 99, final=True), 1),
        placed(5, check_in(2, 50, user="u"), 2),
        placed(3, check_in(1, 20), 3),  # neither final nor so late
    ]
    with connect(fresh_database.require("dsn_owner"), autocommit=True) as owner:
        owner.execute(BACK_TO_0008)
        for event in [*history, history[2] | {"kafka_offset": 4}]:
            owner.execute(LOADED, event)
        owner.execute(KEPT)
        owner.execute(CLOSED)
        owner.execute("INSERT INTO app.consumer_offset VALUES ('cluster', 'okr-state', 'okr_user_events', 0, 5)")
        owner.execute(SQL.read_bytes())
        assert owner.execute("SELECT count(*) FROM app.event").fetchall() == [(4,)]
        assert owner.execute("SELECT check_in_id, value, is_final FROM app.check_ins ORDER BY 1").fetchall() == [
            ("c1", 20.0, False),
            ("c2", 50.0, False),
        ]
        assert owner.execute("SELECT user_id FROM app.user_activity").fetchall() == [("u",)]
        assert owner.execute("SELECT subject FROM app.newest_event").fetchall() == [("kr",)]
        shown = "SELECT status, last_value, progress, is_closed FROM app.okrs"
        assert owner.execute(shown).fetchall() == [("in_progress", 50.0, Decimal("0.50"), False)]
        assert owner.execute("SELECT count(*) FROM app.consumer_offset").fetchall() == [(0,)]
        for later in LATER:
            owner.execute(later.read_bytes())
    with connect(fresh_database.require("dsn_loader"), autocommit=True) as loader:
        loader.execute("DELETE FROM app.okrs")  # its id was generated
        store = StateStore(loader, "cluster", "group")
        assert (store.project_missing(), store.project_missing()) == (1, 0)
        assert loader.execute(shown).fetchall() == [("in_progress", 50.0, Decimal("0.50"), False)]
        apply(loader, [*history, placed(6, check_in(3, 60), 4)])
        assert loader.execute(shown).fetchall() == [("in_progress", 60.0, Decimal("0.60"), False)]


def test_check_ins_moved_by_an_older_rule_are_projected_again_from_stored_events(fresh_database: Settings) -> None:
    """Reading them from the broker again would miss events older than 30 days."""
    events = [
        placed(0, key_result(), 0), placed(1, key_result(name="other"), 1),
        placed(2, check_in(1, 20), 2), placed(3, check_in(1, 70, of="other"), 3),
    ]  # fmt: skip
    shown = "SELECT key_result_id, value FROM app.check_ins"
    with connect(fresh_database.require("dsn_loader"), autocommit=True) as loader:
        apply(loader, events)
        assert loader.execute(shown).fetchall() == [("kr", 20.0)]
        # The state left by the consumer before revision 0027.
        loader.execute("UPDATE app.event SET withheld_because = NULL")
        loader.execute("UPDATE app.check_ins SET key_result_id = 'other', value = 70")
    with connect(fresh_database.require("dsn_owner"), autocommit=True) as owner:
        owner.execute("DROP TABLE app.to_project")
        owner.execute((VERSIONS / "0033_reproject_state_tables.sql").read_bytes())
    with connect(fresh_database.require("dsn_loader"), autocommit=True) as loader:
        assert StateStore(loader, "cluster", "group").project_missing() == 1
        assert loader.execute(shown).fetchall() == [("kr", 20.0)]
        progress = "SELECT key_result_id, last_value FROM app.okrs ORDER BY 1"
        assert loader.execute(progress).fetchall() == [("kr", 20.0), ("other", None)]
