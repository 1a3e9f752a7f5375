"""Migration 0030 of stored requests: keys of two check-ins, and the content of a correction."""

from pathlib import Path

from lakehouse.settings import Settings
from lakehouse.warehouse import connect

SQL = Path(__file__).parents[2] / "infra" / "migrations" / "versions" / "0030_first_logged_check_in.sql"
BACK_TO_0029 = """
DROP INDEX api.check_in_request_recorded_key, api.check_in_request_corrected_key;
CREATE UNIQUE INDEX check_in_request_idempotency_key ON api.check_in_request (username, operation, idempotency_key)
WHERE idempotency_key IS NOT NULL
"""
REMEMBERED = """
INSERT INTO api.check_in_request (
    operation, username, idempotency_key, check_in_id, key_result_id, body, event_id, occurred_at, warnings
)
SELECT
    operation, username, key, check_in_id, 'kr', '{"value": 6, "is_final": true}', md5(check_in_id)::uuid, now(), '[]'
FROM (
    VALUES
    (1, 'record', 'app', 'one', 'a'), (2, 'repeat', 'app', 'one', 'b'), (3, 'correct', 'app', 'one', 'a'),
    (4, 'repeat', 'app', 'two', 'c'), (5, 'record', 'app', 'two', 'd'), (6, 'record', 'admin', 'two', 'e'),
    (7, 'record', 'app', NULL, 'f')
) AS remembered (place, operation, username, key, check_in_id)
ORDER BY place
"""
LOGGED = """
INSERT INTO app.event (
    event_type, entity_id, event_id, occurred_at, logged_at, kafka_partition, kafka_offset, data
)
VALUES (
    'okr.check_in.recorded.v1', 'c', md5('c')::uuid, '2026-01-01T00:00Z', now(), 0, 0,
    '{"check_in_id": "c", "key_result_id": "kr", "value": 5}'
)
"""
KEYS = [("a", "record", "one"), ("a", "correct", "one"), ("b", "repeat", None), ("c", "repeat", "two")]
KEYS += [("d", "record", None), ("e", "record", "two"), ("f", "record", None)]


def test_a_key_of_two_check_ins_stays_with_the_first_and_a_repeat_keeps_the_first_content(
    fresh_database: Settings,
) -> None:
    with connect(fresh_database.require("dsn_owner"), autocommit=True) as owner:
        owner.execute(BACK_TO_0029)
        owner.execute(REMEMBERED)
        owner.execute(LOGGED)
        owner.execute(SQL.read_bytes())
        kept = "SELECT check_in_id, operation, idempotency_key FROM api.check_in_request ORDER BY 1, request_id"
        assert owner.execute(kept).fetchall() == KEYS
        words = owner.execute(
            "SELECT body, occurred_at::date::text FROM api.check_in_request WHERE check_in_id = 'c'"
        ).fetchall()
    assert words == [({"value": 5, "confidence": None, "note": None, "is_final": False}, "2026-01-01")]
